/*
 * The image as a tar archive (POSIX pax): owners, modes, times, links, hard links, extended attributes. It is whole if
 * the program ends with 0: the last line on stderr then says how many bytes there were.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "survey.h"

enum { BLOCK = 512, PAX_BYTES = 262144, COPY_BYTES = 131072, MAX_LINKED = 1 << 20 };

struct header {
  char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100], magic[6], version[2], user[32],
      group[32], major[8], minor[8], prefix[155], rest[12];
};

static struct {
  long long sent, most, entries;
  size_t linked, room;
  struct { ino_t inode; char *path; } *links;
} stream;

static _Noreturn void give_up(const char *path, const char *found) {
  record("failed");
  put_text("path", path);
  put_text("found", found);
  dup2(STDERR_FILENO, STDOUT_FILENO);
  record_end();
  exit(1);
}

static void send_bytes(const void *bytes, size_t n) {
  if ((stream.sent += (long long)n) > stream.most) give_up("", "more bytes than were asked for at most");
  for (size_t at = 0; at < n;) {
    ssize_t done = write(STDOUT_FILENO, (const char *)bytes + at, n - at);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) exit(74);
    at += (size_t)done;
  }
}

static void send_padding(long long n) {
  static const char zeros[BLOCK];
  if (n % BLOCK) send_bytes(zeros, (size_t)(BLOCK - n % BLOCK));
}

/* Octal, or nothing where it does not fit: a pax record then tells. */
static void put_octal(char *field, size_t width, unsigned long long value) {
  char digits[32];
  int n = snprintf(digits, sizeof digits, "%0*llo", (int)width - 1, value);
  if ((size_t)n < width) memcpy(field, digits, (size_t)n);
  else memset(field, '0', width - 1);
}

static void send_header(struct header *header) {
  unsigned sum = 0;
  char digits[16];
  memcpy(header->magic, "ustar", 6);
  memcpy(header->version, "00", 2);
  memset(header->sum, ' ', sizeof header->sum);
  for (size_t i = 0; i < sizeof *header; i++) sum += ((unsigned char *)header)[i];
  snprintf(digits, sizeof digits, "%06o", sum & 0777777);
  memcpy(header->sum, digits, 7); /* with its NUL, then the space */
  send_bytes(header, sizeof *header);
}

/* ---- what does not fit a header ---- */

static char pax[PAX_BYTES];
static size_t pax_used;

static void add_pax(const char *path, const char *key, const void *value, size_t n) {
  size_t rest = strlen(key) + n + 3, length = rest + 1; /* space, =, newline, and the digits of all of it */
  for (char digits[24]; (size_t)snprintf(digits, sizeof digits, "%zu", length) + rest != length;)
    length = rest + (size_t)snprintf(digits, sizeof digits, "%zu", length);
  if (length + 32 > sizeof pax - pax_used) give_up(path, "more extended attributes than a header holds");
  int head = snprintf(pax + pax_used, sizeof pax - pax_used, "%zu %s=", length, key);
  memcpy(pax + pax_used + head, value, n);
  pax[pax_used + length - 1] = '\n';
  pax_used += length;
}

static void add_pax_number(const char *path, const char *key, unsigned long long value, unsigned long long most) {
  char digits[24];
  if (value > most) add_pax(path, key, digits, (size_t)snprintf(digits, sizeof digits, "%llu", value));
}

static void add_attributes(const struct entry *entry) {
  static char names[65536], value[65536];
  char path[PATH_MAX], key[300];
  ssize_t length = llistxattr(entry_proc_path(entry, path), names, sizeof names);
  if (length < 0 && errno != ENOTSUP) give_up(entry->path, "attributes that cannot be listed");
  for (ssize_t at = 0; at < length; at += (ssize_t)strlen(names + at) + 1) {
    ssize_t n = lgetxattr(path, names + at, value, sizeof value);
    if (n < 0) give_up(entry->path, "an attribute that cannot be read");
    snprintf(key, sizeof key, "SCHILY.xattr.%.255s", names + at);
    if (strchr(key, '=')) give_up(entry->path, "an attribute with = in its name");
    add_pax(entry->path, key, value, (size_t)n);
  }
}

static void send_pax(void) {
  struct header header = {.type = 'x'};
  if (pax_used == 0) return;
  memcpy(header.name, "pax", 3);
  put_octal(header.mode, sizeof header.mode, 0644);
  put_octal(header.size, sizeof header.size, pax_used);
  send_header(&header);
  send_bytes(pax, pax_used);
  send_padding((long long)pax_used);
}

/* ---- entries ---- */

/* The path that a file of several names had first; NULL if this is it. */
static const char *first_name(const struct entry *entry) {
  if (entry->stat.st_nlink < 2 || S_ISDIR(entry->stat.st_mode)) return NULL;
  for (size_t i = 0; i < stream.linked; i++)
    if (stream.links[i].inode == entry->stat.st_ino) return stream.links[i].path;
  if (stream.linked == stream.room) {
    stream.room = stream.room ? 2 * stream.room : 256;
    stream.links = stream.room > MAX_LINKED ? NULL : realloc(stream.links, stream.room * sizeof *stream.links);
    if (!stream.links) give_up(entry->path, "too many files of several names");
  }
  stream.links[stream.linked].inode = entry->stat.st_ino;
  if (!(stream.links[stream.linked++].path = strdup(entry->path))) give_up(entry->path, "no memory for its name");
  return NULL;
}

static void send_content(const struct entry *entry) {
  static char bytes[COPY_BYTES];
  off_t left = entry->stat.st_size;
  int fd = openat(entry->folder, entry->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) give_up(entry->path, strerrorname_np(errno));
  /* A sparse file may say that it is larger than anything: nothing of it is read then. */
  if (left > stream.most - stream.sent) give_up(entry->path, "more bytes than were asked for at most");
  while (left > 0) {
    ssize_t n = read(fd, bytes, left < COPY_BYTES ? (size_t)left : COPY_BYTES);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) give_up(entry->path, n < 0 ? strerrorname_np(errno) : "it ends before its end");
    send_bytes(bytes, (size_t)n);
    left -= n;
  }
  send_padding(entry->stat.st_size);
  close(fd);
}

static char type_of(mode_t mode) {
  return S_ISREG(mode) ? '0' : S_ISLNK(mode) ? '2' : S_ISCHR(mode) ? '3' : S_ISBLK(mode) ? '4' : S_ISDIR(mode) ? '5' : S_ISFIFO(mode) ? '6' : 0;
}

/* Its name, and that of what it links to: in the header where they fit, else in a pax record. */
static void put_name(const char *path, const char *key, const char *name, char *field) {
  size_t n = strlen(name);
  if (n > 100) add_pax(path, key, name, n);
  memcpy(field, name, n > 100 ? 100 : n);
}

static void visit(const struct entry *entry, void *context) {
  static char name[PATH_MAX + 2], target[PATH_MAX];
  struct header header = {.type = type_of(entry->stat.st_mode)};
  const struct stat *found = &entry->stat;
  (void)context;
  if (header.type == 0) return; /* a socket is nothing without who has made it */
  const char *first = first_name(entry);
  ssize_t length = header.type == '2' ? readlinkat(entry->folder, entry->name, target, sizeof target - 1) : 0;
  if (length < 0) give_up(entry->path, strerrorname_np(errno));
  target[length] = '\0';
  if (first) header.type = '1';
  pax_used = 0;
  snprintf(name, sizeof name, "%s%s", *entry->path ? entry->path : ".", header.type == '5' ? "/" : "");
  put_name(entry->path, "path", name, header.name);
  if (header.type == '1' || header.type == '2') put_name(entry->path, "linkpath", first ? first : target, header.link);
  unsigned long long size = header.type == '0' ? (unsigned long long)found->st_size : 0;
  add_pax_number(entry->path, "size", size, 077777777777);
  add_pax_number(entry->path, "uid", found->st_uid, 07777777);
  add_pax_number(entry->path, "gid", found->st_gid, 07777777);
  if (header.type != '1') add_attributes(entry);
  put_octal(header.mode, sizeof header.mode, found->st_mode & 07777);
  put_octal(header.uid, sizeof header.uid, found->st_uid);
  put_octal(header.gid, sizeof header.gid, found->st_gid);
  put_octal(header.size, sizeof header.size, size);
  put_octal(header.mtime, sizeof header.mtime, found->st_mtime < 0 ? 0 : (unsigned long long)found->st_mtime);
  if (header.type == '3' || header.type == '4') {
    put_octal(header.major, sizeof header.major, major(found->st_rdev));
    put_octal(header.minor, sizeof header.minor, minor(found->st_rdev));
  }
  send_pax();
  send_header(&header);
  if (header.type == '0') send_content(entry);
  stream.entries++;
}

int stream_tree(long long most_bytes) {
  static const char end[2 * BLOCK];
  stream.most = most_bytes;
  struct walk_result result = walk_image(visit, NULL);
  if (result.too_deep > 0) give_up("", "folders deeper than are walked");
  if (result.unreadable > 0) give_up("", "folders or files that cannot be read");
  send_bytes(end, sizeof end);
  dup2(STDERR_FILENO, STDOUT_FILENO);
  record("whole");
  put_number("entries", stream.entries);
  put_number("bytes", stream.sent);
  record_end();
  return 0;
}
