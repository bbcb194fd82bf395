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

/* Says which filesystem is on the drive of a row. */
static bool probe_drive(struct mount_row *row) {
  char head[2048];
  ssize_t n = read_file(row->source, head, sizeof head);
  if (n < 0) return fail(errno, "MOUNT_FAILED", "Cannot read drive \"%s\"", row->source);
  for (size_t i = 0; i < COUNT(filesystems) && n == (ssize_t)sizeof head; i++) {
    if (memcmp(head + filesystems[i].offset, filesystems[i].magic, filesystems[i].length) != 0) continue;
    row->type = filesystems[i].type;
    row->options = filesystems[i].options;
    return true;
  }
  return fail(0, "MOUNT_FAILED", "Cannot mount drive \"%s\": unknown, expected erofs, squashfs or ext4", row->source);
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
