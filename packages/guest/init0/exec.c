/*
 * A command in a session of its own, with pipes or a terminal: its output and its end go to the stream as records, what
 * comes as records is its input. It ends with its command; when the stream ends first, the command is hung up, then
 * killed. docs/formats/wire.md has the records.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "session.h"

enum { HEAD_BYTES = 8, FLAG_TTY = 1, MAX_TEXTS = 4096, INPUT_BYTES = 65536, HANG_UP_MS = 2000, END_OF_INPUT = 4, LAST_READS = 64 };

/* What is to be run: texts that lie in the request. */
static struct {
  bool tty;
  struct winsize size;
  const char *folder, *argv[MAX_TEXTS + 1], *env[MAX_TEXTS + 1];
  char terminal[64];
} order;

static struct {
  int stream, in, out, err, end; /* -1: closed. With a terminal `in` and `out` are its master */
  pid_t command;
  bool in_is_over, stream_is_over;
  unsigned char records[RECORD_HEADER_BYTES + RECORD_BYTES], input[INPUT_BYTES];
  size_t have, start, stop; /* bytes in `records`; what of `input` waits */
} session = {.in = -1, .out = -1, .err = -1, .end = -1};

static const char *find_shell(void) {
  static const char *const shells[] = {"/bin/bash", "/bin/sh"};
  for (size_t i = 0; i < 2; i++)
    if (access(shells[i], X_OK) == 0) return shells[i];
  return NULL;
}

/*
 * Reads a request: flags, 0, rows, columns, number of arguments (16 bits each but the first two), then texts that end
 * with a NUL: the arguments, the folder, the environment. Texts are the caller's. An errno, or 0.
 */
static int read_order(const unsigned char *request, size_t n) {
  if (n < HEAD_BYTES + 1 || request[n - 1] != 0 || request[0] > FLAG_TTY) return EINVAL;
  size_t arguments = (size_t)request[6] << 8 | request[7], used = 0, entries = 0;
  order.tty = request[0] == FLAG_TTY;
  order.size.ws_row = (unsigned short)(request[2] << 8 | request[3]);
  order.size.ws_col = (unsigned short)(request[4] << 8 | request[5]);
  order.folder = NULL;
  if (arguments > MAX_TEXTS) return E2BIG;
  for (const char *text = (const char *)request + HEAD_BYTES; text < (const char *)request + n; text += strlen(text) + 1) {
    if (used < arguments) order.argv[used++] = text;
    else if (!order.folder) order.folder = text;
    else if (entries < MAX_TEXTS) order.env[entries++] = text;
    else return E2BIG;
  }
  order.argv[used] = order.env[entries] = NULL;
  return used == arguments && order.folder ? 0 : EINVAL;
}

int exec_check(const unsigned char *request, size_t n) {
  int error = read_order(request, n);
  return error == 0 && !order.argv[0] && !find_shell() ? ENOENT : error;
}

/* ---- the command ---- */

/* Its side of the fork: descriptors 0 to 2 are set. Says on stderr, as a shell does, why it cannot be run. */
static _Noreturn void become_command(void) {
  sigset_t none;
  for (const char **entry = order.env; *entry; entry++)
    if (strchr(*entry, '=')) putenv((char *)*entry);
  if (!order.argv[0]) order.argv[0] = find_shell(), order.argv[1] = NULL;
  if (!*order.folder && chdir("/opt/code") != 0 && chdir("/") != 0) _exit(126);
  if (*order.folder && chdir(order.folder) != 0) {
    dprintf(STDERR_FILENO, "Cannot enter \"%s\": %s\n", order.folder, strerror(errno));
    _exit(126);
  }
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  execvp(order.argv[0], (char *const *)order.argv);
  int status = errno == ENOENT || errno == ENOTDIR ? 127 : 126;
  dprintf(STDERR_FILENO, "Cannot run \"%s\": %s\n", order.argv[0], strerror(errno));
  _exit(status);
}

static _Noreturn void start_on(const int fds[3]) {
  setsid();
  for (int i = 0; i < 3; i++) dup2(fds[i], i);
  close_range(3, ~0U, 0);
  if (order.tty) ioctl(0, TIOCSCTTY, 0);
  become_command();
}

static bool start_on_terminal(void) {
  int off = 0, master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0 || ioctl(master, TIOCSPTLCK, &off) != 0) return false;
  int peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (peer < 0) return false;
  ioctl(master, TIOCSWINSZ, &order.size);
  if ((session.command = fork()) == 0) start_on((const int[]){peer, peer, peer});
  close(peer);
  session.out = master;
  session.in = dup(master);
  return session.command > 0;
}

static bool start_on_pipes(void) {
  int in[2], out[2], err[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) return false;
  if ((session.command = fork()) == 0) start_on((const int[]){in[0], out[1], err[1]});
  close(in[0]);
  close(out[1]);
  close(err[1]);
  session.in = in[1];
  session.out = out[0];
  session.err = err[0];
  return session.command > 0;
}

/* ---- between the command and the stream ---- */

static void close_at(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

/* Gives the command what it takes of its input. */
static void feed(void) {
  while (session.in >= 0 && session.start < session.stop) {
    ssize_t n = write(session.in, session.input + session.start, session.stop - session.start);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) close_at(&session.in); /* it reads no more */
    else session.start += (size_t)n;
  }
  session.start = session.stop = 0;
  if (!session.in_is_over || session.in < 0) return;
  /* A terminal has no end of its own: its reader is told. */
  if (order.tty && write(session.in, (const char[]){END_OF_INPUT}, 1) < 0 && errno == EAGAIN) return;
  close_at(&session.in);
}

/* Takes one record. False if it has no room for it yet. */
static bool take_record(int type, const unsigned char *bytes, size_t n) {
  if (type == TO_STDIN && n == 0) session.in_is_over = true;
  if (type == TO_STDIN && n > 0) {
    if (n > sizeof session.input - session.stop) return false;
    memcpy(session.input + session.stop, bytes, n);
    session.stop += n;
  }
  if (type == TO_RESIZE && n == 4 && order.tty) {
    struct winsize size = {.ws_row = (unsigned short)(bytes[0] << 8 | bytes[1]),
                           .ws_col = (unsigned short)(bytes[2] << 8 | bytes[3])};
    ioctl(session.out, TIOCSWINSZ, &size);
  }
  if (type == TO_SIGNAL && n == 1 && bytes[0] > 0 && bytes[0] < NSIG) kill(-session.command, bytes[0]);
  return true;
}

/* Takes all whole records that have room. True if one waits for room. */
static bool take_whole_records(void) {
  size_t at = 0;
  bool waits = false;
  while (!waits && session.have - at >= RECORD_HEADER_BYTES) {
    const unsigned char *head = session.records + at;
    size_t n = (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    if (n > RECORD_BYTES) _exit(1); /* the host's fault; the end of the stream tells it */
    if (session.have - at - RECORD_HEADER_BYTES < n) break;
    waits = !take_record(head[0], head + RECORD_HEADER_BYTES, n);
    if (!waits) at += RECORD_HEADER_BYTES + n;
  }
  if (at > 0) memmove(session.records, session.records + at, session.have - at);
  session.have -= at;
  return waits;
}

static void take_records(void) {
  bool waits;
  do {
    waits = take_whole_records();
    feed();
  } while (waits && session.stop == 0);
}

/* The host is gone: the command is told as by a terminal that is closed, and does not get long. */
static _Noreturn void hang_up(void) {
  struct pollfd end = {session.end, POLLIN, 0};
  kill(-session.command, SIGHUP);
  kill(-session.command, SIGCONT);
  if (poll(&end, 1, HANG_UP_MS) == 0) kill(-session.command, SIGKILL);
  kill(-session.command, SIGKILL); /* what it has started and left behind in its group */
  _exit(0);
}

/* Passes on one read of the command's output. False if there was nothing. */
static bool pass_on(int *from, int type) {
  unsigned char bytes[RECORD_BYTES];
  ssize_t n = *from < 0 ? 0 : read(*from, bytes, sizeof bytes);
  if (n > 0 && !record_send(session.stream, type, bytes, (size_t)n)) hang_up();
  if (n > 0 || (n < 0 && errno == EINTR)) return true;
  if (n == 0 || errno != EAGAIN) close_at(from); /* a terminal that all have left is EIO */
  return false;
}

static void read_stream(void) {
  ssize_t n = read(session.stream, session.records + session.have, sizeof session.records - session.have);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    session.in_is_over = session.stream_is_over = true; /* END; a RESET is a hang-up */
    feed();
    return;
  }
  session.have += (size_t)n;
  take_records();
}

static _Noreturn void report_end(void) {
  int status = 0;
  while (waitpid(session.command, &status, 0) < 0 && errno == EINTR) continue;
  /* What lies there, which is less than these reads take; whoever else has the pipe may write for ever. */
  for (int i = 0; i < LAST_READS && pass_on(&session.out, FROM_STDOUT); i++) continue;
  for (int i = 0; i < LAST_READS && pass_on(&session.err, FROM_STDERR); i++) continue;
  unsigned char end[] = {WIFSIGNALED(status) ? 1 : 0,
                         (unsigned char)(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status))};
  record_send(session.stream, FROM_EXIT, end, sizeof end);
  _exit(0);
}

static void serve(void) {
  const bool has_room = session.have < sizeof session.records && session.stop < sizeof session.input;
  struct pollfd ends[] = {
      {session.stream, has_room ? POLLIN : 0, 0},
      {session.out, POLLIN, 0},
      {session.err, POLLIN, 0},
      {session.start < session.stop ? session.in : -1, POLLOUT, 0},
      {session.end, POLLIN, 0},
  };
  if (session.stream_is_over) ends[0].events = 0;
  if (poll(ends, sizeof ends / sizeof *ends, -1) < 0) return;
  if (ends[0].revents & (POLLHUP | POLLERR)) hang_up();
  if (ends[0].revents & POLLIN) read_stream();
  if (ends[1].revents) pass_on(&session.out, FROM_STDOUT);
  if (ends[2].revents) pass_on(&session.err, FROM_STDERR);
  if (ends[3].revents) feed(), take_records();
  if (ends[4].revents) report_end();
}

_Noreturn void exec_run(int fd, const unsigned char *request, size_t n) {
  int sources[3];
  session.stream = fd;
  if (read_order(request, n) != 0 || !(order.tty ? start_on_terminal() : start_on_pipes()) ||
      (session.end = pidfd_open(session.command, 0)) < 0) {
    char words[200];
    int length = snprintf(words, sizeof words, "Cannot start a session: %s\n", strerror(errno));
    record_send(fd, FROM_STDERR, words, (size_t)length);
    record_send(fd, FROM_EXIT, (const unsigned char[]){0, 126}, 2);
    _exit(1);
  }
  memcpy(sources, (const int[]){session.in, session.out, session.err}, sizeof sources);
  for (int i = 0; i < 3; i++)
    if (sources[i] >= 0) fcntl(sources[i], F_SETFL, fcntl(sources[i], F_GETFL) | O_NONBLOCK);
  for (;;) serve();
}
