/*
 * init1-exec: the launcher of executables in a vmlet machine. It starts an ELF program or a script that serves HTTP by
 * itself, reports `loaded` the moment its port listens, and ends as the program ends. A seccomp filter in the program
 * hands each listen() to this process, which makes the call itself on a duplicate of the socket: no polling,
 * no race. One thread, one poll loop, no timer. Frames are in docs/formats/frames.md, states and reasons in README.md.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <elf.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/wait.h>

#include "../init0/frames.h"
#include "calls.h"

#define VERSION "0.1.0"

enum { MAX_ARGS = 256, MAX_ENV = 1024, PATH_BYTES = 4096, HEAD_BYTES = 256, NEAR_NAMES = 5 };
/* Ends as waitpid() gives them: the two of shells, then EX_USAGE and EX_SOFTWARE of sysexits.h. */
enum { NOT_RUN = 126 << 8, NOT_FOUND = 127 << 8, WRONG_USE = 64 << 8, WRONG_STATE = 70 << 8 };

static char frame_in[FRAME_ROOM + 1], frame_out[65536];
static size_t frame_have;
static struct queue control = {.fd = -1, .data = frame_out, .room = sizeof frame_out};

static pid_t program; /* 0: not started. Leads its session and process group */
static int program_fd = -1, calls_fd = -1;
static int port;
static char name[128]; /* the entrypoint without its folder */
static bool is_loaded, is_halting;

static struct {
  char *type, *entrypoint, *args[MAX_ARGS + 1], *variables[MAX_ENV + 1];
  int64_t port;
} order;
static const struct field fields[] = {
    {"", "type", TEXT, &order.type, MAX_FRAME_BYTES, NULL, ""},
    {"load", "entrypoint", TEXT, &order.entrypoint, 1024, NULL, "1 to 1024 bytes"},
    {"load", "port", INTEGER, &order.port, 65535, NULL, "1 to 65535"},
    {"", "args[]", LIST, order.args, MAX_ARGS, NULL, ""},
    {"", "variables{}", LIST, order.variables, MAX_ENV, NULL, ""},
};
static struct frame_reader reader;

/* Ends this process as the program ended, so that init0 reports how. */
static _Noreturn void leave(int status) {
  int number = WTERMSIG(status);
  sigset_t one;
  if (WIFEXITED(status)) _exit(WEXITSTATUS(status));
  prctl(PR_SET_DUMPABLE, 0); /* the program has dumped its core, if any */
  sigemptyset(&one);
  sigaddset(&one, number);
  signal(number, SIG_DFL);
  sigprocmask(SIG_UNBLOCK, &one, NULL);
  raise(number);
  _exit(128 + number);
}

/* Tells host and log of a failure. A message is one line. */
static void report(const char *phase, const char *code, char *message, const char *detail) {
  for (char *c = strpbrk(message, "\r\n"); c; c = strpbrk(c, "\r\n")) *c = ' ';
  put_frame(&control, "{'type':'failed','phase':%s,'code':%s,'message':%s,'detail':%s}", phase, code, message, detail);
  queue_flush(&control);
}

/* Reports that loading failed, and ends. `error` is the errno to blame, 0 for none; its text ends the message. */
__attribute__((format(printf, 4, 5))) static _Noreturn void fail(int status, int error, const char *code,
                                                                 const char *format, ...) {
  char message[4096], detail[128];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message - 128, format, arguments);
  va_end(arguments);
  if (error) sprintf(message + strlen(message), ": %.100s", strerror(error));
  snprintf(detail, sizeof detail, error ? "%s: %s" : "", strerrorname_np(error), strerror(error));
  report("load", code, message, detail);
  leave(status);
}

#include "hooks.h" /* uses the above */

/* ---- what to run ---- */

/* The file of the entrypoint, its first bytes, and what to execute. */
static struct {
  char path[PATH_BYTES], head[HEAD_BYTES + 1], *interpreter, *argument;
  size_t head_length;
  char *argv[MAX_ARGS + 4];
} file;

/* By how many letters two names differ, case aside. Long ones differ in all. */
static size_t distance(const char *a, const char *b) {
  size_t row[64], n = strlen(b);
  if (n >= COUNT(row)) return SIZE_MAX;
  for (size_t j = 0; j <= n; j++) row[j] = j;
  for (size_t i = 0; a[i]; i++) {
    size_t corner = i;
    row[0] = i + 1;
    for (size_t j = 1; j <= n; j++) {
      size_t best = corner + (tolower((unsigned char)a[i]) != tolower((unsigned char)b[j - 1]));
      corner = row[j];
      if (corner + 1 < best) best = corner + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      row[j] = best;
    }
  }
  return row[n];
}

/* Names in a folder that are at most that far from `name`, quoted, five at most. */
static void near_names(const char *folder, size_t most, char *to, size_t room) {
  DIR *entries = opendir(folder);
  int left = NEAR_NAMES;
  *to = '\0';
  for (struct dirent *entry; left > 0 && entries && (entry = readdir(entries));) {
    if (entry->d_name[0] == '.' || distance(name, entry->d_name) > most) continue;
    size_t used = strlen(to);
    snprintf(to + used, room - used, "%s\"%.100s\"", used > 0 ? ", " : "", entry->d_name);
    left--;
  }
  if (entries) closedir(entries);
}

static _Noreturn void fail_missing(int error) {
  char folder[PATH_BYTES], names[NEAR_NAMES * 110];
  snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(file.path, '/') - file.path), file.path);
  near_names(*folder ? folder : "/", strlen(name) < 6 ? 2 : strlen(name) / 3, names, sizeof names);
  const char *relation = "a name like";
  if (!*names) relation = "one of", near_names(*folder ? folder : "/", SIZE_MAX - 1, names, sizeof names);
  if (!*names) fail(NOT_FOUND, error, "ENTRYPOINT_NOT_FOUND", "Cannot find entrypoint \"%s\"", file.path);
  fail(NOT_FOUND, 0, "ENTRYPOINT_NOT_FOUND", "Cannot find entrypoint \"%s\": no such file, expected %s %s", file.path,
       relation, names);
}

/* The loader that an ELF program of this machine asks for, or "". */
static const char *loader_of(int fd) {
  static char loader[256];
  Elf64_Ehdr header;
  Elf64_Phdr part;
  memset(loader, 0, sizeof loader);
  if (pread(fd, &header, sizeof header, 0) != (ssize_t)sizeof header) return "";
  if (header.e_ident[EI_CLASS] != ELFCLASS64) return "";
  for (int i = 0; i < header.e_phnum && !*loader; i++) {
    off_t at = (off_t)(header.e_phoff + (uint64_t)i * sizeof part);
    if (pread(fd, &part, sizeof part, at) != (ssize_t)sizeof part) break;
    if (part.p_type == PT_INTERP && pread(fd, loader, sizeof loader - 1, (off_t)part.p_offset) < 0) *loader = '\0';
  }
  return loader;
}

/* What a file is, that the kernel does not run. */
static const char *kind_of_file(void) {
  static const struct {
    const char *magic, *kind;
    size_t at, length;
  } kinds[] = {
      {"MZ", "a program for Windows", 0, 2},          {"\xCF\xFA\xED\xFE", "a program for macOS", 0, 4},
      {"PK\3\4", "a zip archive", 0, 4},              {"\xB7\0", "a program for AArch64", 18, 2},
      {"\x28\0", "a program for 32-bit ARM", 18, 2},  {"\xF3\0", "a program for RISC-V", 18, 2},
      {"\x03\0", "a program for 32-bit x86", 18, 2},  {"\x7F" "ELF", "a program that this kernel does not take", 0, 4},
  };
  for (size_t i = 0; i < COUNT(kinds); i++) {
    if (kinds[i].at > 0 && memcmp(file.head, ELFMAG, SELFMAG) != 0) continue;
    if (memcmp(file.head + kinds[i].at, kinds[i].magic, kinds[i].length) == 0) return kinds[i].kind;
  }
  return file.head_length > 0 ? "neither program nor script" : "an empty file";
}

/* Puts in words why the file cannot be executed. */
static _Noreturn void fail_exec(int error) {
  int fd = open(file.path, O_RDONLY | O_CLOEXEC), status = error == ENOENT ? NOT_FOUND : NOT_RUN;
  bool is_elf = memcmp(file.head, ELFMAG, SELFMAG) == 0;
  const char *needed = is_elf && fd >= 0 ? loader_of(fd) : file.interpreter ? file.interpreter : "";
  if (error == ENOEXEC && !file.interpreter)
    fail(status, 0, "EXEC_FAILED", "Cannot run \"%s\": it is %s, expected an ELF program for x86-64, or a script that "
         "begins with \"#!\"", file.path, kind_of_file());
  if (error == ENOENT && *needed)
    fail(status, 0, "EXEC_FAILED", "Cannot run \"%s\": its %s \"%s\" is missing, expected it in the runtime",
         file.path, is_elf ? "loader" : "interpreter", needed);
  if (file.interpreter)
    fail(status, error, "EXEC_FAILED", "Cannot run \"%s\" by its interpreter \"%s\"", file.path, file.interpreter);
  fail(status, error, "EXEC_FAILED", "Cannot run \"%s\"", file.path);
}

/* Reads the "#!" line into file.interpreter and file.argument, as the kernel would. True if it ends as on Windows. */
static bool read_first_line(void) {
  static char line[HEAD_BYTES + 1];
  if (memcmp(file.head, "#!", 2) != 0) return false;
  memcpy(line, file.head, sizeof line);
  line[strcspn(line, "\n")] = '\0';
  char *end = line + strlen(line);
  bool is_windows = end[-1] == '\r';
  while (end > line + 2 && strchr(" \t\r", end[-1])) *--end = '\0';
  char *word = line + 2 + strspn(line + 2, " \t");
  if (!*word) return false;
  file.interpreter = word;
  word += strcspn(word, " \t");
  if (*word) *word++ = '\0', file.argument = word + strspn(word, " \t");
  return is_windows;
}

/*
 * Makes a program executable that is not. Where nothing can be written, a copy in memory is mounted over it, so that it
 * still finds what lies beside it.
 */
static void make_executable(int fd) {
  char copy[] = "/run/vmlet/program-XXXXXX";
  struct stat now;
  ssize_t n = 0;
  if (fstat(fd, &now) == 0 && fchmod(fd, (now.st_mode & 07777) | 0111) == 0) return;
  mkdir("/run/vmlet", 0755); /* what fails here fails again below */
  int to = mkostemp(copy, O_CLOEXEC);
  while (to >= 0 && (n = sendfile(to, fd, NULL, 1 << 30)) > 0) continue;
  if (to < 0 || n < 0 || fchmod(to, 0755) != 0 || close(to) != 0)
    fail(NOT_RUN, errno, "EXEC_FAILED", "Cannot make an executable copy of \"%s\"", file.path);
  if (mount(copy, file.path, NULL, MS_BIND, NULL) != 0) snprintf(file.path, sizeof file.path, "%s", copy);
}

/* Enters the code's folder, finds the entrypoint, and fills in `file`. */
static void find_file(void) {
  const char *folder = getenv("VMLET_CODE_DIR"), *slash = strrchr(order.entrypoint, '/');
  struct stat found;
  size_t n = 0;
  if (!folder) folder = "/opt/code";
  bool is_absolute = *order.entrypoint == '/';
  snprintf(file.path, sizeof file.path, "%s%s%s", is_absolute ? "" : folder, is_absolute ? "" : "/", order.entrypoint);
  snprintf(name, sizeof name, "%s", slash && slash[1] ? slash + 1 : order.entrypoint);
  if (chdir(folder) != 0 && !is_absolute) /* a program of the runtime may come without code */
    fail(NOT_FOUND, errno, "ENTRYPOINT_NOT_FOUND", "Cannot enter folder \"%s\"", folder);
  if (stat(file.path, &found) != 0) fail_missing(errno);
  if (!S_ISREG(found.st_mode))
    fail(NOT_RUN, 0, "EXEC_FAILED", "Cannot run \"%s\": no regular file, expected a program or a script", file.path);
  bool is_executable = (found.st_mode & 0111) != 0;
  int fd = open(file.path, O_RDONLY | O_CLOEXEC);
  ssize_t length = fd < 0 ? 0 : read(fd, file.head, HEAD_BYTES);
  file.head_length = length > 0 ? (size_t)length : 0;
  if (read_first_line() || (file.interpreter && !is_executable)) {
    file.argv[n++] = file.interpreter;
    if (file.argument) file.argv[n++] = file.argument;
  } else if (!is_executable && memcmp(file.head, ELFMAG, SELFMAG) == 0) {
    lseek(fd, 0, SEEK_SET);
    make_executable(fd);
  } else if (!is_executable) {
    fail_exec(ENOEXEC);
  }
  if (fd >= 0) close(fd);
  file.argv[n++] = file.path;
  for (char **arg = order.args; *arg; arg++) file.argv[n++] = *arg;
}

/* ---- the program ---- */

/* The child's side. It hands over the listener's number, waits for it to be taken, and sends errno if exec fails. */
static _Noreturn void become_program(int report) {
  char digits[8], taken;
  sigset_t none;
  int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  setsid();
  dup2(null, STDIN_FILENO);
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  for (char **variable = order.variables; *variable; variable++) putenv(*variable);
  snprintf(digits, sizeof digits, "%d", port);
  setenv("PORT", digits, 1);
  if (*hooks.token) setenv("VMLET_HOOK_TOKEN", hooks.token, 1);
  int calls = install_filter(), error = errno;
  if (calls < 0) calls = -error;
  if (write(report, &calls, sizeof calls) < 0 || read(report, &taken, 1) != 1) _exit(NOT_RUN >> 8);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  execve(file.argv[0], file.argv, environ);
  error = errno;
  _exit(write(report, &error, sizeof error) > 0 ? NOT_FOUND >> 8 : NOT_RUN >> 8);
}

/* Starts the program and takes the descriptor of its calls. Comes back when it has been executed. */
static void start_program(void) {
  int pair[2], calls = -1, error = 0;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0 || (program = fork()) < 0)
    fail(WRONG_STATE, errno, "LAUNCHER_FAILED", "Cannot make a process for \"%s\"", file.path);
  if (program == 0) become_program(pair[1]);
  close(pair[1]);
  program_fd = pidfd_open(program, 0);
  if (read(pair[0], &calls, sizeof calls) == sizeof calls && calls < 0) errno = -calls;
  else calls_fd = pidfd_getfd(program_fd, calls, 0);
  if (calls_fd < 0) /* the child ends as the pair closes */
    fail(WRONG_STATE, errno, "LAUNCHER_FAILED", "Cannot watch \"%s\" by seccomp", file.path);
  bool has_failed = write(pair[0], "", 1) == 1 && read(pair[0], &error, sizeof error) == sizeof error;
  close(pair[0]);
  if (!has_failed) return;
  waitpid(program, NULL, 0); /* it left no program to wait for */
  fail_exec(error);
}

/* The program has ended: says so if it never served, and ends the same way. */
static _Noreturn void end_with_program(void) {
  int status = WRONG_STATE;
  char end[128];
  waitpid(program, &status, 0);
  if (is_loaded || is_halting) leave(status);
  int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  const char *shell = code == 127 ? ", which shells say for a command that is not found"
                    : code == 126 ? ", which shells say for a command that cannot be run" : "";
  const char *abbreviation = code > 128 ? sigabbrev_np(code - 128) : NULL;
  if (WIFSIGNALED(status)) snprintf(end, sizeof end, "was ended by SIG%s", abbreviation ? abbreviation : "RT");
  else snprintf(end, sizeof end, "ended with exit code %d%s", code, shell);
  fail(status, 0, "PROGRAM_EXITED", "Cannot load \"%s\": it %s before it listened on port %d, expected a server that "
       "stays in the foreground", name, end, port);
}

/* ---- messages ---- */

static void take_load(void) {
  if (program > 0) return; /* init0 passes on one */
  if (reader.excess)
    fail(WRONG_STATE, 0, "LOAD_MALFORMED", "Cannot read \"%s\": too many items or no text", reader.excess);
  for (const struct field *field = fields; field < fields + COUNT(fields); field++)
    if (strcmp(field->type, "load") == 0 &&
        (field->kind == INTEGER ? *(int64_t *)field->to < 1 : *(char **)field->to == NULL))
      fail(WRONG_STATE, 0, "LOAD_MALFORMED", "Cannot read \"%s\": missing or unfit, expected %s", field->path,
           field->expected);
  port = (int)order.port;
  take_hooks();
  find_file();
  start_program();
}

static void say_loaded(void) {
  if (is_loaded) return;
  is_loaded = true;
  put_frame(&control, "{'type':'loaded','port':%d,'interface':'executable','server':%s}", (int64_t)port, name);
  queue_flush(&control);
}

/* Asks the program to end. init0 has the deadline. */
static void halt(void) {
  is_halting = true;
  if (program == 0) leave(0);
  kill(-program, SIGTERM);
}

static _Noreturn void refuse(const char *code, const char *found) {
  dprintf(STDERR_FILENO, "init1-exec: %s: Cannot read frame: %s\n", code, found);
  if (program > 0) kill(-program, SIGKILL);
  leave(WRONG_STATE);
}

/* One read of the channel, and all whole frames in it. Its end counts as `halt`. */
static void take_frames(void) {
  enum breach breach;
  size_t length;
  ssize_t n = read(control.fd, frame_in + frame_have, FRAME_ROOM - frame_have);
  if (n <= 0) {
    if (frame_have > 0) refuse("FRAME_TRUNCATED", "the channel closed inside one, expected the rest");
    close(control.fd);
    control.fd = -1;
    halt();
    return;
  }
  frame_have += (size_t)n;
  while ((length = read_frame(&reader, frame_in, frame_have, &breach)) > 0) {
    const char *body = frame_in + HEADER_BYTES, *type = order.type ? order.type : "";
    if (strcmp(type, "load") == 0) take_load();
    if (strcmp(type, "prepare") == 0 && is_loaded == (program > 0)) prepare(body, length - HEADER_BYTES);
    if (strcmp(type, "resume") == 0 && is_loaded == (program > 0)) resume(body, length - HEADER_BYTES);
    if (strcmp(type, "halt") == 0) halt();
    frame_have -= length;
    memmove(frame_in, frame_in + length, frame_have);
  }
  if (breach != NO_BREACH) refuse(breaches[breach][0], breaches[breach][1]);
}

int main(void) {
  const char *channel = getenv("VMLET_CONTROL_FD");
  sigset_t all;
  sigfillset(&all); /* no call is interrupted, and a closed channel is an EPIPE */
  sigprocmask(SIG_SETMASK, &all, NULL);
  if (!channel || fcntl(atoi(channel), F_SETFD, FD_CLOEXEC) != 0) {
    dprintf(STDERR_FILENO, "init1-exec: Cannot run: no channel in VMLET_CONTROL_FD, expected init0 to start it\n");
    leave(WRONG_USE);
  }
  control.fd = atoi(channel);
  unsetenv("VMLET_CONTROL_FD");
  reader.fields = fields; /* not by an initializer, which would put the arena into the binary */
  reader.count = COUNT(fields);
  put_frame(&control, "{'type':'ready','launcher':'exec','version':%s,'features':[]}", VERSION);
  queue_flush(&control);
  for (;;) {
    struct pollfd ends[] = {{calls_fd, POLLIN, 0}, {control.fd, POLLIN, 0}, {program_fd, POLLIN, 0}};
    poll(ends, COUNT(ends), -1);
    if (ends[0].revents & POLLIN && take_call(calls_fd, port)) say_loaded();
    if (ends[0].revents & POLLHUP) close(calls_fd), calls_fd = -1; /* nothing is left that could call */
    if (ends[1].revents) take_frames();
    if (ends[2].revents) end_with_program();
  }
}
