/* Files of the image: opened inside it whatever its links say, and none but regular ones. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "survey.h"

const char *image_root = "/rom";

static int root_fd(void) {
  static int fd = -1;
  if (fd < 0) fd = open(image_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
  return fd;
}

/* A device or a pipe is never opened: it is looked at first, by a descriptor that only names it. */
static int open_regular(int named, struct stat *found) {
  char path[40];
  if (fstat(named, found) != 0) return -1;
  if (!S_ISREG(found->st_mode)) {
    errno = ENXIO;
    return -1;
  }
  snprintf(path, sizeof path, "/proc/self/fd/%d", named);
  return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
}

int open_image(const char *path, struct stat *found) {
  struct stat unused;
  struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
  int named = (int)syscall(SYS_openat2, root_fd(), path, &how, sizeof how);
  if (named < 0) return -1;
  int fd = open_regular(named, found ? found : &unused), error = errno;
  close(named);
  errno = error;
  return fd;
}

static ssize_t read_whole(int fd, char *buffer, size_t room) {
  size_t have = 0;
  ssize_t n;
  while (have < room && (n = read(fd, buffer + have, room - have)) != 0) {
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    have += (size_t)n;
  }
  return (ssize_t)have;
}

ssize_t read_image(const char *path, char *buffer, size_t room) {
  int fd = open_image(path, NULL);
  if (fd < 0) return -1;
  ssize_t n = read_whole(fd, buffer, room - 1);
  int error = errno;
  buffer[n < 0 ? 0 : n] = '\0';
  close(fd);
  errno = error;
  return n;
}

char *load_image(const char *path, size_t most, size_t *length) {
  struct stat found;
  int fd = open_image(path, &found);
  if (fd < 0) return NULL;
  size_t room = (size_t)found.st_size;
  char *bytes = found.st_size >= 0 && room <= most ? malloc(room + 1) : NULL;
  ssize_t n = bytes ? read_whole(fd, bytes, room) : -1;
  int error = bytes ? errno : EFBIG;
  close(fd);
  errno = error;
  if (n < 0) {
    free(bytes);
    return NULL;
  }
  bytes[n] = '\0';
  *length = (size_t)n;
  return bytes;
}

/* ---- all of it ---- */

struct walk {
  void (*visit)(const struct entry *entry, void *context);
  void *context;
  dev_t device;
  char path[PATH_MAX];
  struct walk_result result;
};

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Names of a folder, sorted. False if they cannot be read, or not all of them fit into the memory. */
static bool names_of(int fd, char ***names, size_t *count) {
  int again = dup(fd);
  DIR *folder = again < 0 ? NULL : fdopendir(again);
  size_t room = 0;
  bool ok = folder != NULL;
  if (!folder && again >= 0) close(again);
  errno = 0;
  for (struct dirent *one; ok && (one = readdir(folder));) {
    if (strcmp(one->d_name, ".") == 0 || strcmp(one->d_name, "..") == 0) continue;
    if (*count == room) {
      char **larger = realloc(*names, (room = room ? 2 * room : 64) * sizeof **names);
      if (!(ok = larger != NULL)) break;
      *names = larger;
    }
    if ((ok = ((*names)[*count] = strdup(one->d_name)) != NULL)) ++*count;
  }
  ok = ok && errno == 0;
  if (folder) closedir(folder);
  if (*names) qsort(*names, *count, sizeof **names, by_name);
  return ok;
}

static void walk_folder(struct walk *walk, int fd, size_t length, int depth);

static void walk_entry(struct walk *walk, int fd, const char *name, size_t length, int depth) {
  int n = snprintf(walk->path + length, sizeof walk->path - length, "%s%s", length ? "/" : "", name);
  struct entry entry = {.folder = fd, .name = name, .path = walk->path, .depth = depth};
  /* What fsck finds belongs to the filesystem, and so does a mount to another. */
  if (length == 0 && strcmp(name, "lost+found") == 0) return;
  if (n < 0 || (size_t)n >= sizeof walk->path - length) {
    walk->result.too_deep++;
  } else if (fstatat(fd, name, &entry.stat, AT_SYMLINK_NOFOLLOW) != 0) {
    walk->result.unreadable++;
  } else if (entry.stat.st_dev == walk->device) {
    walk->visit(&entry, walk->context);
    int child = S_ISDIR(entry.stat.st_mode) ? openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (child >= 0 && depth < MAX_DEPTH) walk_folder(walk, child, length + (size_t)n, depth + 1);
    else if (child >= 0) walk->result.too_deep++;
    else if (S_ISDIR(entry.stat.st_mode)) walk->result.unreadable++;
    if (child >= 0) close(child);
  }
  walk->path[length] = '\0';
}

static void walk_folder(struct walk *walk, int fd, size_t length, int depth) {
  size_t count = 0;
  char **names = NULL;
  if (!names_of(fd, &names, &count)) walk->result.unreadable++;
  for (size_t i = 0; i < count; i++) {
    walk_entry(walk, fd, names[i], length, depth);
    free(names[i]);
  }
  free(names);
}

struct walk_result walk_image(void (*visit)(const struct entry *entry, void *context), void *context) {
  struct walk walk = {.visit = visit, .context = context};
  int fd = open(image_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct entry root = {.folder = fd, .name = ".", .path = walk.path};
  if (fd < 0 || fstat(fd, &root.stat) != 0) {
    walk.result.unreadable++;
    return walk.result;
  }
  walk.device = root.stat.st_dev;
  visit(&root, context);
  walk_folder(&walk, fd, 0, 1);
  close(fd);
  return walk.result;
}

const char *entry_proc_path(const struct entry *entry, char buffer[PATH_MAX]) {
  snprintf(buffer, PATH_MAX, "/proc/self/fd/%d/%.255s", entry->folder, entry->name);
  return buffer;
}
