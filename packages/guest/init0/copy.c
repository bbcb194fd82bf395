/*
 * Files and folders of a machine, as records on a stream: those below a path are sent, or received and written there.
 * No program of the runtime takes part. The host is trusted here; what the guest sends, the host checks.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "session.h"

enum { READ = 1, WRITE = 2, MODE_BYTES = 2, MAX_FOLDERS_DEEP = 64 };

static int stream;
static char root[PATH_MAX];

/* Payload of a request: READ or WRITE, then texts that end with a NUL: a path, and for WRITE the name of the source. */
int copy_check(const unsigned char *request, size_t n) {
  if (n < 3 || request[n - 1] != 0 || (request[0] != READ && request[0] != WRITE)) return EINVAL;
  size_t path = strlen((const char *)request + 1);
  if (path == 0 || path >= PATH_MAX - NAME_MAX - 2) return ENAMETOOLONG;
  return request[0] == WRITE && path + 2 >= n ? EINVAL : 0;
}

static _Noreturn void fail(int error, const char *path) {
  char record[1 + PATH_MAX];
  record[0] = (char)error;
  int length = snprintf(record + 1, sizeof record - 1, "%s", path);
  record_send(stream, COPY_FAILED, record, (size_t)length + 1);
  _exit(1);
}

static void send_record(int type, const void *bytes, size_t n) {
  if (!record_send(stream, type, bytes, n)) _exit(1);
}

/* ---- to the host ---- */

/* Sends mode and path below the root. */
static void send_entry(int type, mode_t mode, const char *path) {
  char record[MODE_BYTES + PATH_MAX] = {(char)(mode >> 8 & 1), (char)mode};
  size_t length = strlen(path);
  memcpy(record + MODE_BYTES, path, length);
  send_record(type, record, MODE_BYTES + length);
}

static void send_file(int fd, mode_t mode, const char *path) {
  char bytes[RECORD_BYTES];
  ssize_t n;
  send_entry(COPY_FILE, mode & 0777, path);
  while ((n = read(fd, bytes, sizeof bytes)) != 0) {
    if (n < 0 && errno != EINTR) fail(errno, path);
    if (n > 0) send_record(COPY_DATA, bytes, (size_t)n);
  }
}

static void send_link(int folder, const char *name, const char *path) {
  char record[MODE_BYTES + 2 * PATH_MAX];
  size_t length = strlen(path);
  ssize_t target = readlinkat(folder, name, record + MODE_BYTES + length + 1, PATH_MAX);
  if (target < 0) fail(errno, path);
  record[0] = record[1] = 0;
  memcpy(record + MODE_BYTES, path, length + 1);
  send_record(COPY_LINK, record, MODE_BYTES + length + 1 + (size_t)target);
}

/* What the kernel makes up has no end. */
static bool is_made_up(int fd) {
  struct statfs of;
  return fstatfs(fd, &of) == 0 && (of.f_type == PROC_SUPER_MAGIC || of.f_type == SYSFS_MAGIC);
}

static void send_folder(int fd, mode_t mode, const char *path, int deep);

/* Sends one name of a folder. Devices, sockets and the like are left out. */
static void send_name(int folder, const char *name, const char *path, int deep) {
  struct stat found;
  if (fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) != 0) return; /* gone meanwhile */
  if (S_ISLNK(found.st_mode)) send_link(folder, name, path);
  if (!S_ISREG(found.st_mode) && !S_ISDIR(found.st_mode)) return;
  int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &found) != 0) fail(errno, path);
  if (S_ISREG(found.st_mode)) {
    send_file(fd, found.st_mode, path);
    close(fd);
  } else if (S_ISDIR(found.st_mode) && !is_made_up(fd)) {
    send_folder(fd, found.st_mode, path, deep + 1); /* closes it */
  } else {
    close(fd);
  }
}

static void send_folder(int fd, mode_t mode, const char *path, int deep) {
  if (deep > MAX_FOLDERS_DEEP) fail(ELOOP, path);
  DIR *entries = fdopendir(fd);
  if (!entries) fail(errno, path);
  send_entry(COPY_FOLDER, mode & 0777, path);
  for (struct dirent *entry; (entry = readdir(entries));) {
    char inner[PATH_MAX];
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    int length = snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "/" : "", entry->d_name);
    if (length >= (int)sizeof inner) fail(ENAMETOOLONG, path);
    send_name(fd, entry->d_name, inner, deep);
  }
  closedir(entries);
}

static void send_all(const char *path) {
  struct stat found;
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &found) != 0) fail(errno, path);
  if (S_ISREG(found.st_mode)) send_file(fd, found.st_mode, "");
  else if (S_ISDIR(found.st_mode)) send_folder(fd, found.st_mode, "", 0);
  else fail(EINVAL, path);
  send_record(COPY_DONE, "", 0);
}

/* ---- from the host ---- */

static void read_all(void *to, size_t n) {
  for (size_t have = 0; have < n;) {
    ssize_t got = read(stream, (char *)to + have, n - have);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) _exit(1); /* broken off: what is half written stays, as with cp */
    have += (size_t)got;
  }
}

/* The path of an entry in the machine; "" is the root. The host never sends one that leads out. */
static const char *locate(const char *path, char to[2 * PATH_MAX]) {
  if (snprintf(to, 2 * PATH_MAX, "%s%s%s", root, *path ? "/" : "", path) >= 2 * PATH_MAX) fail(ENAMETOOLONG, root);
  return to;
}

static int receive_file(const char *path, mode_t mode) {
  struct stat found;
  if (lstat(path, &found) == 0 && !S_ISDIR(found.st_mode)) unlink(path);
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 || fchmod(fd, mode) != 0) fail(errno, path);
  return fd;
}

static void receive_folder(const char *path, mode_t mode) {
  struct stat found;
  if (mkdir(path, 0700) == 0) {
    if (chmod(path, mode | 0700) != 0) fail(errno, path);
  } else if (errno != EEXIST || stat(path, &found) != 0 || !S_ISDIR(found.st_mode)) {
    fail(errno, path);
  }
}

static void receive_link(const char *path, const char *target) {
  unlink(path);
  if (symlink(target, path) != 0) fail(errno, path);
}

static void write_all(int fd, const char *bytes, size_t n) {
  for (size_t done = 0; done < n;) {
    ssize_t wrote = write(fd, bytes + done, n - done);
    if (wrote < 0 && errno != EINTR) fail(errno, root);
    if (wrote > 0) done += (size_t)wrote;
  }
}

static void receive_entries(void) {
  static char record[RECORD_BYTES + 1], path[2 * PATH_MAX];
  for (int file = -1;;) {
    unsigned char head[RECORD_HEADER_BYTES];
    read_all(head, sizeof head);
    size_t n = (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    if (n > RECORD_BYTES) _exit(1);
    read_all(record, n);
    record[n] = '\0';
    if (head[0] == COPY_DATA && file >= 0) {
      write_all(file, record, n);
      continue;
    }
    if (file >= 0 && close(file) != 0) fail(errno, path);
    file = -1;
    if (head[0] == COPY_DONE) return;
    if (n < MODE_BYTES) _exit(1);
    mode_t mode = (mode_t)((unsigned char)record[0] << 8 | (unsigned char)record[1]) & 0777;
    const char *name = record + MODE_BYTES, *target = name + strlen(name) + 1;
    locate(name, path);
    if (head[0] == COPY_FOLDER) receive_folder(path, mode);
    else if (head[0] == COPY_FILE) file = receive_file(path, mode);
    else if (head[0] == COPY_LINK && target <= record + n) receive_link(path, target);
    else _exit(1);
  }
}

/* Into a folder that is there goes the source by its name; else the path is the copy itself. */
static void receive_all(const char *path, const char *name) {
  struct stat found;
  bool is_folder = stat(path, &found) == 0 && S_ISDIR(found.st_mode);
  snprintf(root, sizeof root, is_folder ? "%s/%.255s" : "%s", path, name);
  umask(0);
  receive_entries();
  send_record(COPY_DONE, "", 0);
}

_Noreturn void copy_run(int fd, const unsigned char *request, size_t n) {
  const char *path = (const char *)request + 1;
  stream = fd;
  if (copy_check(request, n) != 0) _exit(1);
  if (request[0] == READ) send_all(path);
  else receive_all(path, path + strlen(path) + 1);
  _exit(0);
}
