/* Files and mounts of which the machine's root is made. */
#ifndef VMLET_ROOT_H
#define VMLET_ROOT_H
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "failure.h"
#include "mounts.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static ssize_t read_file(const char *path, void *buffer, size_t room) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : read(fd, buffer, room);
  int error = errno;
  if (fd >= 0) close(fd);
  errno = error;
  return n;
}

static bool make_path(const char *path) {
  char part[PATH_MAX];
  snprintf(part, sizeof part, "%s", path);
  for (char *slash = strchr(part + 1, '/'); slash; *slash = '/', slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    mkdir(part, 0755); /* what fails here fails again below */
  }
  if (mkdir(path, 0755) == 0 || errno == EEXIST) return true;
  return fail(errno, "MOUNT_FAILED", "Cannot make directory \"%s\"", path);
}

static bool insert_btrfs(void);

/* Whether a drive has these bytes there; false as well where it is too short, or cannot be read. */
static bool has_magic(int fd, const char *magic, size_t length, off_t offset) {
  char found[16];
  return length <= sizeof found && pread(fd, found, length, offset) == (ssize_t)length &&
         memcmp(found, magic, length) == 0;
}

/* Says which filesystem is on the drive of a row. */
static bool probe_drive(struct mount_row *row) {
  int fd = open(row->source, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(errno, "MOUNT_FAILED", "Cannot read drive \"%s\"", row->source);
  size_t i = 0;
  while (i < COUNT(filesystems) &&
         !has_magic(fd, filesystems[i].magic, filesystems[i].length, (off_t)filesystems[i].offset))
    i++;
  close(fd);
  if (i == COUNT(filesystems))
    return fail(0, "MOUNT_FAILED", "Cannot mount drive \"%s\": unknown, expected " FILESYSTEMS, row->source);
  row->type = filesystems[i].type;
  row->options = row->flags & MS_RDONLY ? filesystems[i].options : NULL;
  return strcmp(row->type, "btrfs") != 0 || insert_btrfs();
}

static bool mount_row(struct mount_row row) {
  if (strcmp(row.type, "link") == 0)
    return symlink(row.source, row.target) == 0 || errno == EEXIST ||
           fail(errno, "MOUNT_FAILED", "Cannot link \"%s\" to \"%s\"", row.target, row.source);
  if (!make_path(row.target)) return false;
  if (strcmp(row.type, "folder") == 0) return true;
  if (strcmp(row.type, "drive") == 0 && !probe_drive(&row)) return false;
  if (mount(row.source, row.target, row.type, row.flags, row.options) == 0) return true;
  return fail(errno, "MOUNT_FAILED", "Cannot mount \"%s\" on \"%s\" (%s)", row.source, row.target,
              *row.type ? row.type : "as it is");
}

static bool mount_rows(const struct mount_row *rows, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!mount_row(rows[i])) return false;
  return true;
}

#endif
