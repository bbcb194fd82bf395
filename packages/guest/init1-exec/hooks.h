/*
 * How an executable takes part in its snapshot. It says so in variables of its message: a signal that it is sent or a
 * path that is requested of it, before it is frozen and after a clone of it wakes, and a path that warms it up.
 */
#ifndef VMLET_HOOKS_H
#define VMLET_HOOKS_H
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HOOK_MS = 10000, MAX_HOOK_CHARS = 255, ANSWER_BYTES = 4096, PRIME_ROUNDS = 8, TOKEN_DIGITS = 32 };

/* What the program wants, "" for what it does not. */
static struct {
  char before[MAX_HOOK_CHARS + 1], after[MAX_HOOK_CHARS + 1], prime[MAX_HOOK_CHARS + 1];
  char token[TOKEN_DIGITS + 1]; /* known to the program and nobody else: visitors can ask for a hook's path too */
} hooks;

static _Noreturn void end_with_program(void);

static int64_t monotonic_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The signal of "signal:USR1" or "signal:SIGUSR1", 0 for none. */
static int hook_signal(const char *hook) {
  if (strncmp(hook, "signal:", 7) != 0) return 0;
  const char *wanted = hook + 7 + (strncmp(hook + 7, "SIG", 3) == 0 ? 3 : 0);
  for (int number = 1; number < SIGRTMIN; number++) {
    const char *abbreviation = sigabbrev_np(number);
    if (abbreviation && strcmp(abbreviation, wanted) == 0) return number;
  }
  return 0;
}

/* Whether a text can stand as the path of a request. */
static bool is_path(const char *text) {
  for (const char *c = text; *c; c++)
    if (*c <= ' ' || *c > '~') return false;
  return *text == '/';
}

static bool is_hook(const char *text) {
  return hook_signal(text) > 0 || (strncmp(text, "http:", 5) == 0 && is_path(text + 5));
}

/* Notes what the variables say. Returns the first of them that is malformed, or NULL. */
static const char *read_hooks(char *const *variables) {
  static const struct {
    const char *name;
    char *to;
    bool (*is_good)(const char *);
  } known[] = {{"VMLET_BEFORE_SNAPSHOT=", hooks.before, is_hook},
               {"VMLET_AFTER_RESTORE=", hooks.after, is_hook},
               {"VMLET_PRIME_PATH=", hooks.prime, is_path}};
  unsigned char random[TOKEN_DIGITS / 2];
  for (; *variables; variables++)
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
      size_t length = strlen(known[i].name);
      const char *value = *variables + length;
      if (strncmp(*variables, known[i].name, length) != 0) continue;
      if (*value && (strlen(value) > MAX_HOOK_CHARS || !known[i].is_good(value))) return *variables;
      strcpy(known[i].to, value);
    }
  if (!*hooks.before && !*hooks.after) return NULL;
  if (getrandom(random, sizeof random, 0) < 0) return NULL; /* not for so few bytes */
  for (size_t i = 0; i < sizeof random; i++) sprintf(hooks.token + 2 * i, "%02x", random[i]);
  return NULL;
}

/* Takes what the variables of `load` say. A hook that is misspelt would fail when nobody looks any more. */
static void take_hooks(void) {
  const char *malformed = read_hooks(order.variables);
  if (malformed)
    fail(WRONG_USE, 0, "HOOK_MALFORMED", "Cannot use variable \"%.300s\", expected \"signal:\" with a signal's name, or "
         "\"http:\" with a path of at most %d characters", malformed, MAX_HOOK_CHARS);
}

/* Waits until `events` come on `fd`, and answers the program's calls meanwhile: it may listen anew. False with errno. */
static bool await_program(int fd, short events, int64_t deadline_ms) {
  for (;;) {
    struct pollfd ends[] = {{fd, events, 0}, {calls_fd, POLLIN, 0}, {program_fd, POLLIN, 0}};
    int64_t left_ms = deadline_ms - monotonic_ms();
    int n = poll(ends, COUNT(ends), left_ms > 0 ? (int)left_ms : 0);
    if (ends[0].revents) return true;
    if (ends[1].revents & POLLIN) take_call(calls_fd, port);
    if (ends[2].revents) end_with_program();
    if (n == 0) return errno = ETIMEDOUT, false;
  }
}

/* Connects a socket to the program. False with errno. */
static bool connect_program(int fd, int64_t deadline_ms) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  int error = 0;
  socklen_t size = sizeof error;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0) return true;
  if (errno != EINPROGRESS || !await_program(fd, POLLOUT, deadline_ms)) return false;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return errno = error, error == 0;
}

static bool send_all(int fd, const char *bytes, size_t length, int64_t deadline_ms) {
  while (length > 0) {
    ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);
    if (n < 0 && (errno != EAGAIN || !await_program(fd, POLLOUT, deadline_ms))) return false;
    if (n > 0) bytes += n, length -= (size_t)n;
  }
  return true;
}

/* Whether an answer is whole by the length that its head names; without one its end is the connection's. */
static bool is_whole(const char *answer, size_t received) {
  const char *end = strstr(answer, "\r\n\r\n"), *length = strcasestr(answer, "\ncontent-length:");
  if (!end || !length || length > end) return false;
  return received >= (size_t)(end + 4 - answer) + strtoul(length + 16, NULL, 10);
}

/* Reads an answer until it is whole, and returns its status; 0 with errno. */
static int read_answer(int fd, int64_t deadline_ms) {
  char answer[ANSWER_BYTES + 1] = "", rest[ANSWER_BYTES];
  size_t received = 0;
  int status = 0;
  while (!is_whole(answer, received)) {
    bool fits = received < ANSWER_BYTES;
    ssize_t n = recv(fd, fits ? answer + received : rest, fits ? ANSWER_BYTES - received : sizeof rest, 0);
    if (n > 0) received += (size_t)n;
    else if (n == 0 || errno == ECONNRESET) break; /* the latter of a server that is in a hurry to close */
    else if (errno != EAGAIN || !await_program(fd, POLLIN, deadline_ms)) return 0;
  }
  errno = EPROTO;
  return sscanf(answer, "HTTP/1.%*1d %3d", &status) == 1 ? status : 0;
}

/*
 * Sends the program one request on a connection of its own: GET, or POST with the order that is the cause. Returns the
 * status of its answer, or an errno below 0.
 */
static int ask_program(const char *path, const char *order_text, size_t length) {
  int64_t deadline_ms = monotonic_ms() + HOOK_MS;
  char head[MAX_HOOK_CHARS + 512], body[128] = "";
  int status = 0, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (order_text)
    snprintf(body, sizeof body, "content-type: application/json\r\ncontent-length: %zu\r\nx-vmlet-hook-token: %s\r\n",
             length, hooks.token);
  int head_length = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nhost: localhost:%d\r\naccept: */*\r\n%s"
                             "connection: close\r\n\r\n", order_text ? "POST" : "GET", path, port, body);
  if (fd >= 0 && connect_program(fd, deadline_ms) && send_all(fd, head, (size_t)head_length, deadline_ms) &&
      send_all(fd, order_text, length, deadline_ms))
    status = read_answer(fd, deadline_ms);
  int error = errno;
  if (fd >= 0) close(fd);
  return status > 0 ? status : -error;
}

/* Says in `message` what was found in place of what was expected. */
static void say_found(char *message, size_t room, int status, const char *expected) {
  size_t used = strlen(message);
  if (status > 0) snprintf(message + used, room - used, ": status %d, expected %s", status, expected);
  else snprintf(message + used, room - used, ": %s, expected %s within %d s", strerror(-status), expected, HOOK_MS / 1000);
}

/* Warms the program up with the path that it names for that. One that is not is less quick in a clone, not wrong. */
static void prime(void) {
  char message[1024];
  for (int round = 0; *hooks.prime && round < PRIME_ROUNDS; round++) {
    int status = ask_program(hooks.prime, NULL, 0);
    if (status >= 200 && status <= 399) continue;
    snprintf(message, sizeof message, "Cannot prime \"%s\"", hooks.prime);
    say_found(message, sizeof message, status, "an answer of status 200 to 399");
    dprintf(STDERR_FILENO, "init1-exec: %s\n", message);
    return;
  }
}

/* Calls a hook of the program, if it has that one. False if that failed, which is then reported. */
static bool call_hook(const char *hook, const char *phase, const char *order_text, size_t length) {
  char message[1024];
  int number = hook_signal(hook);
  if (!*hook) return true;
  int status = number == 0 ? ask_program(hook + 5, order_text, length) : kill(program, number) == 0 ? 200 : -errno;
  if (status >= 200 && status <= 299) return true;
  snprintf(message, sizeof message, "Cannot call the hook \"%s\"", hook);
  say_found(message, sizeof message, status, "an answer of status 200 to 299");
  dprintf(STDERR_FILENO, "init1-exec: HOOK_FAILED: %s\n", message);
  report(phase, "HOOK_FAILED", message, "");
  return false;
}

/* Before the freeze. */
static void prepare(const char *order_text, size_t length) {
  if (program > 0 && !call_hook(hooks.before, "snapshot", order_text, length)) return;
  if (program > 0) prime();
  put_frame(&control, "{'type':'prepared'}");
  queue_flush(&control);
}

/* In a clone. A program that runs has its environment for good: it finds late variables in the body of its hook. */
static void resume(const char *order_text, size_t length) {
  for (char **variable = order.variables; program == 0 && *variable; variable++) putenv(strdup(*variable));
  if (program > 0 && !call_hook(hooks.after, "resume", order_text, length)) return;
  put_frame(&control, "{'type':'resumed'}");
  queue_flush(&control);
}

#endif
