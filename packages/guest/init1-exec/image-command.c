/*
 * Starts the command that an image of another world names, as container engines start it: in its folder, as its user,
 * found on PATH. init1-exec runs this in place of a program of its own, and watches it as that:
 *
 *     image-command FOLDER USER COMMAND [ARGUMENT...]
 *
 * USER is NAME or a number, with :GROUP where there is one, and empty for root. What cannot be done is told on stderr,
 * and ends with 127 for a command that is not there, and 126 for anything else, as in shells. No libc call here asks the
 * name service, which a static program has not: the image's own two files tell.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOT_RUN = 126, NOT_FOUND = 127, MAX_GROUPS = 256, MAX_FIELDS = 7 };

/* Who the command is to be. */
static struct {
  char name[256], home[PATH_MAX];
  uid_t uid;
  gid_t gid, groups[MAX_GROUPS];
  size_t group_count;
} as;

__attribute__((format(printf, 2, 3))) static _Noreturn void fail(int status, const char *format, ...) {
  char text[2 * PATH_MAX];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  dprintf(STDERR_FILENO, "vmlet: %s\n", text);
  _exit(status);
}

/* A whole number that fits an id; the one that means nobody is none. */
static bool read_id(const char *text, unsigned *id) {
  char *end;
  if (!isdigit((unsigned char)*text)) return false;
  errno = 0;
  unsigned long value = strtoul(text, &end, 10);
  *id = (unsigned)value;
  return *end == '\0' && errno == 0 && value < UINT_MAX;
}

/* The next line of a file such as /etc/passwd, cut at its colons. False at its end. */
static bool next_line(FILE *file, char **line, size_t *room, char *fields[MAX_FIELDS]) {
  ssize_t length = getline(line, room, file);
  if (length < 0) return false;
  (*line)[strcspn(*line, "\r\n")] = '\0';
  char *rest = *line;
  for (size_t i = 0; i < MAX_FIELDS; i++) {
    char *field = rest ? strsep(&rest, ":") : NULL;
    fields[i] = field ? field : (char *)"";
  }
  return true;
}

/* Finds the user, by name or number. A number needs no line. */
static void find_user(const char *wanted) {
  char *line = NULL, *fields[MAX_FIELDS];
  size_t room = 0;
  unsigned id = 0, uid, gid;
  bool is_number = read_id(wanted, &id), is_found = is_number;
  FILE *file = fopen("/etc/passwd", "re");
  as.uid = id;
  while (file && next_line(file, &line, &room, fields)) {
    if (!read_id(fields[2], &uid) || !read_id(fields[3], &gid)) continue;
    if (is_number ? uid != id : strcmp(fields[0], wanted) != 0) continue;
    as.uid = uid;
    as.gid = gid;
    snprintf(as.name, sizeof as.name, "%s", fields[0]);
    snprintf(as.home, sizeof as.home, "%s", fields[5]);
    is_found = true;
    break;
  }
  if (file) fclose(file);
  free(line);
  if (!is_found)
    fail(NOT_RUN, "Cannot become the user \"%s\": no such name in \"/etc/passwd\", expected one, or a number", wanted);
}

static bool is_member(char *list, const char *member) {
  for (char *next = list; next;)
    if (strcmp(strsep(&next, ","), member) == 0) return true;
  return false;
}

/* Finds the group that is named, or all that the user is a member of. */
static void find_groups(const char *wanted) {
  char *line = NULL, *fields[MAX_FIELDS];
  size_t room = 0;
  unsigned gid;
  bool is_found = !wanted || read_id(wanted, &as.gid);
  FILE *file = fopen("/etc/group", "re");
  while (file && next_line(file, &line, &room, fields)) {
    if (!read_id(fields[2], &gid)) continue;
    if (wanted && !is_found && strcmp(fields[0], wanted) == 0) as.gid = gid, is_found = true;
    if (!wanted && *as.name && as.group_count < MAX_GROUPS && is_member(fields[3], as.name))
      as.groups[as.group_count++] = gid;
  }
  if (file) fclose(file);
  free(line);
  if (!is_found)
    fail(NOT_RUN, "Cannot become the group \"%s\": no such name in \"/etc/group\", expected one, or a number", wanted);
}

static void find_identity(char *user) {
  char *group = user;
  strsep(&group, ":");
  if (*user || group) find_user(*user ? user : "0");
  if (*user || group) find_groups(group && *group ? group : NULL);
}

/* Makes the folder, if it is missing, with those above it, and enters it. */
static void enter(char *folder) {
  for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    mkdir(folder, 0755);
    *slash = '/';
  }
  mkdir(folder, 0755);
  if (chdir(folder) != 0) fail(NOT_RUN, "Cannot enter the folder \"%s\": %s", folder, strerror(errno));
}

/* Everybody may listen on any port, as in a container: the machine is the program's own. */
static void open_ports(void) {
  int fd = open("/proc/sys/net/ipv4/ip_unprivileged_port_start", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return; /* a kernel without it lets root listen, at least */
  if (write(fd, "0", 1) != 1) dprintf(STDERR_FILENO, "vmlet: Cannot let users listen on low ports\n");
  close(fd);
}

static void become(void) {
  const char *home = getenv("HOME");
  if (as.uid == 0 && as.gid == 0) return;
  /* Programs open /dev/stdout, which their user may do with a pipe of theirs only. */
  for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
    if (fchown(fd, as.uid, (gid_t)-1) != 0 && errno != EINVAL && errno != EROFS && errno != EPERM)
      dprintf(STDERR_FILENO, "vmlet: Cannot give descriptor %d to user %u: %s\n", fd, as.uid, strerror(errno));
  if (setgroups(as.group_count, as.groups) != 0 || setgid(as.gid) != 0 || setuid(as.uid) != 0)
    fail(NOT_RUN, "Cannot become user %u and group %u: %s", as.uid, as.gid, strerror(errno));
  /* Root's home is what a machine has where the image names none. */
  if (as.uid != 0 && (!home || strcmp(home, "/root") == 0)) setenv("HOME", *as.home ? as.home : "/", 1);
}

int main(int argc, char **argv) {
  char folder[PATH_MAX];
  if (argc < 4) fail(NOT_RUN, "Cannot start the image's command: %d words, expected a folder, a user and a command", argc - 1);
  snprintf(folder, sizeof folder, "%s%s", *argv[1] == '/' ? "" : "/", argv[1]);
  char **command = argv + 3;
  find_identity(argv[2]);
  open_ports();
  enter(folder);
  become();
  execvp(command[0], command);
  if (errno == ENOENT)
    fail(NOT_FOUND, "Cannot run \"%s\" of the image: no such program, or what it needs to run is missing, expected it %s \"%s\"",
         command[0], strchr(command[0], '/') ? "in" : "on PATH", strchr(command[0], '/') ? folder : getenv("PATH"));
  fail(NOT_RUN, "Cannot run \"%s\" of the image: %s", command[0], strerror(errno));
}
