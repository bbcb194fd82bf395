/*
 * Loaded before the tools that make filesystems (LD_PRELOAD), so that the same tree gives the same bytes, whichever
 * folder, disk and moment it is in. The tools are told little of the folder but what the image is to hold:
 *
 *   names        of a folder come sorted by their bytes, not as the disk has them; so do those of attributes
 *   inodes       are numbered in the order in which they are met; names of one file still have one number
 *   times        are the time of modification, never later than STEADY_TIME; there is no other, and the clock stands
 *   random       UUIDs follow from STEADY_UUID, one after another; other random numbers from nothing
 *   holes        are not told, which a copy of a tree may have elsewhere: the tools look for zeros themselves
 *   memory       is zero when it is given out: mkfs.btrfs 6.2 writes some of it that it has not set
 *
 * STEADY_TIME is in seconds since the epoch, STEADY_UUID a UUID. Without one of them this is fatal: an image that is
 * nearly the same is worse than none.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <malloc.h>
#include <pthread.h>
#include <search.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

/* Of what is not there for programs to see, in headers of its own: libuuid's type. */
typedef unsigned char uuid_t[16];

#define PUBLIC __attribute__((visibility("default")))
/* Not 0 and 1, and above what btrfs keeps for itself (256). */
#define FIRST_INODE 257
#define SECTOR_BYTES 512

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static time_t steady_time;
static uuid_t steady_uuid;

static void fatal(const char *what) {
  fprintf(stderr, "steady: %s\n", what);
  _exit(70);
}

/* The function that stands behind the one of the same name here. */
static void *behind(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  if (found == NULL) fatal(name);
  return found;
}

__attribute__((constructor)) static void start(void) {
  /* What is given out is filled with the complement of this. */
  if (mallopt(M_PERTURB, 0xff) == 0) fatal("memory cannot be zeroed");
  const char *seconds = getenv("STEADY_TIME"), *uuid = getenv("STEADY_UUID");
  char *end = NULL;
  if (seconds == NULL || uuid == NULL) fatal("no STEADY_TIME or STEADY_UUID");
  steady_time = strtoll(seconds, &end, 10);
  if (*seconds == '\0' || *end != '\0') fatal("STEADY_TIME is not a number");
  size_t length = 0;
  for (const char *at = uuid; length < sizeof(uuid_t); length++) {
    unsigned byte;
    while (*at == '-') at++;
    if (sscanf(at, "%2x", &byte) != 1) fatal("STEADY_UUID is not a UUID");
    steady_uuid[length] = (unsigned char)byte;
    at += 2;
  }
}

/* Times */

PUBLIC time_t time(time_t *into) {
  if (into != NULL) *into = steady_time;
  return steady_time;
}

PUBLIC int gettimeofday(struct timeval *restrict into, void *restrict zone) {
  (void)zone;
  *into = (struct timeval){.tv_sec = steady_time};
  return 0;
}

/* Random */

PUBLIC void uuid_generate(uuid_t into) {
  static uint32_t given;
  pthread_mutex_lock(&lock);
  const uint32_t number = given++;
  pthread_mutex_unlock(&lock);
  memcpy(into, steady_uuid, sizeof(uuid_t));
  for (int byte = 0; byte < 4; byte++) into[15 - byte] ^= (unsigned char)(number >> 8 * byte);
}
PUBLIC void uuid_generate_random(uuid_t into) { uuid_generate(into); }
PUBLIC void uuid_generate_time(uuid_t into) { uuid_generate(into); }

PUBLIC long jrand48(unsigned short state[3]) {
  (void)state;
  static uint32_t drawn = 1;
  pthread_mutex_lock(&lock);
  drawn = drawn * 1664525 + 1013904223;
  const int32_t number = (int32_t)drawn;
  pthread_mutex_unlock(&lock);
  return number;
}

/* Inodes and their times */

struct inode {
  dev_t device;
  ino_t number, steady;
};

static int compare_inodes(const void *a, const void *b) {
  const struct inode *one = a, *other = b;
  if (one->device != other->device) return one->device < other->device ? -1 : 1;
  return one->number < other->number ? -1 : one->number > other->number;
}

static ino_t steady_inode(dev_t device, ino_t number) {
  static void *known;
  static ino_t next = FIRST_INODE;
  struct inode *wanted = malloc(sizeof *wanted);
  if (wanted == NULL) fatal("out of memory");
  *wanted = (struct inode){device, number, 0};
  pthread_mutex_lock(&lock);
  struct inode **found = tsearch(wanted, &known, compare_inodes);
  if (found == NULL) fatal("out of memory");
  if (*found == wanted) wanted->steady = next++;
  else free(wanted);
  const ino_t steady = (*found)->steady;
  pthread_mutex_unlock(&lock);
  return steady;
}

static void steady_stat(struct stat *of) {
  of->st_ino = steady_inode(of->st_dev, of->st_ino);
  of->st_dev = 1;
  if (of->st_mtim.tv_sec >= steady_time) of->st_mtim = (struct timespec){.tv_sec = steady_time};
  of->st_atim = of->st_ctim = of->st_mtim;
  /* As if there were no hole, and as any disk would have it. */
  if (S_ISREG(of->st_mode)) of->st_blocks = (of->st_size + SECTOR_BYTES - 1) / SECTOR_BYTES;
}

_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "one layout for both");
PUBLIC int lstat(const char *restrict path, struct stat *restrict into) {
  static int (*next)(const char *, struct stat *);
  if (next == NULL) next = behind("lstat");
  const int result = next(path, into);
  if (result == 0) steady_stat(into);
  return result;
}
PUBLIC int lstat64(const char *restrict path, struct stat64 *restrict into) {
  return lstat(path, (struct stat *)into);
}
/* Where a tool follows a link it asks for the root of the tree, or for the device that it writes to. */
PUBLIC int stat(const char *restrict path, struct stat *restrict into) {
  static int (*next)(const char *, struct stat *);
  if (next == NULL) next = behind("stat");
  const int result = next(path, into);
  if (result == 0 && S_ISDIR(into->st_mode)) steady_stat(into);
  return result;
}
PUBLIC int stat64(const char *restrict path, struct stat64 *restrict into) {
  return stat(path, (struct stat *)into);
}

/* Names */

/* What is left to read of an open folder. */
struct listing {
  DIR *of;
  struct dirent **entries;
  int count, next;
  struct listing *other;
};
static struct listing *listings;

static int compare_names(const struct dirent **one, const struct dirent **other) {
  return strcmp((*one)->d_name, (*other)->d_name);
}

static struct listing **listing_of(DIR *folder) {
  struct listing **at = &listings;
  while (*at != NULL && (*at)->of != folder) at = &(*at)->other;
  return at;
}

static struct listing *list(DIR *folder) {
  static struct dirent *(*next)(DIR *);
  if (next == NULL) next = behind("readdir");
  struct listing *made = calloc(1, sizeof *made);
  if (made == NULL) fatal("out of memory");
  made->of = folder;
  errno = 0;
  for (struct dirent *entry; (entry = next(folder)) != NULL;) {
    if ((made->count & (made->count - 1)) == 0) {
      made->entries = realloc(made->entries, sizeof *made->entries * (made->count ? 2 * made->count : 1));
      if (made->entries == NULL) fatal("out of memory");
    }
    if ((made->entries[made->count] = malloc(entry->d_reclen)) == NULL) fatal("out of memory");
    memcpy(made->entries[made->count++], entry, entry->d_reclen);
  }
  if (errno != 0) fatal("a folder cannot be read");
  qsort(made->entries, made->count, sizeof *made->entries, (int (*)(const void *, const void *))compare_names);
  made->other = listings;
  return listings = made;
}

PUBLIC struct dirent *readdir(DIR *folder) {
  pthread_mutex_lock(&lock);
  struct listing *of = *listing_of(folder);
  if (of == NULL) of = list(folder);
  struct dirent *entry = of->next < of->count ? of->entries[of->next++] : NULL;
  pthread_mutex_unlock(&lock);
  return entry;
}
PUBLIC struct dirent64 *readdir64(DIR *folder) { return (struct dirent64 *)readdir(folder); }

PUBLIC int closedir(DIR *folder) {
  static int (*next)(DIR *);
  if (next == NULL) next = behind("closedir");
  pthread_mutex_lock(&lock);
  struct listing **at = listing_of(folder), *of = *at;
  if (of != NULL) {
    *at = of->other;
    while (of->count > 0) free(of->entries[--of->count]);
    free(of->entries);
    free(of);
  }
  pthread_mutex_unlock(&lock);
  return next(folder);
}

PUBLIC int scandir(const char *restrict path, struct dirent ***restrict into, int (*filter)(const struct dirent *),
                   int (*compare)(const struct dirent **, const struct dirent **)) {
  static int (*next)(const char *, struct dirent ***, int (*)(const struct dirent *),
                     int (*)(const struct dirent **, const struct dirent **));
  (void)compare;
  if (next == NULL) next = behind("scandir");
  return next(path, into, filter, compare_names);
}
PUBLIC int scandir64(const char *restrict path, struct dirent64 ***restrict into,
                     int (*filter)(const struct dirent64 *),
                     int (*compare)(const struct dirent64 **, const struct dirent64 **)) {
  (void)compare;
  return scandir(path, (struct dirent ***)into, (int (*)(const struct dirent *))filter, NULL);
}

/* Attributes, whose names have no order either */

static int compare_texts(const void *one, const void *other) {
  return strcmp(*(const char *const *)one, *(const char *const *)other);
}

PUBLIC ssize_t llistxattr(const char *path, char *into, size_t size) {
  static ssize_t (*next)(const char *, char *, size_t);
  if (next == NULL) next = behind("llistxattr");
  const ssize_t length = next(path, into, size);
  if (length <= 0 || size == 0) return length;
  char *copy = malloc(length);
  const char **names = calloc(length, sizeof *names);
  if (copy == NULL || names == NULL) fatal("out of memory");
  memcpy(copy, into, length);
  size_t count = 0;
  for (const char *at = copy; at < copy + length; at += strlen(at) + 1) names[count++] = at;
  qsort(names, count, sizeof *names, compare_texts);
  for (size_t index = 0; index < count; index++) into = stpcpy(into, names[index]) + 1;
  free(names);
  free(copy);
  return length;
}

/* Holes */

PUBLIC off64_t lseek64(int file, off64_t offset, int whence) {
  static off64_t (*next)(int, off64_t, int);
  if (next == NULL) next = behind("lseek64");
  if (whence != SEEK_DATA && whence != SEEK_HOLE) return next(file, offset, whence);
  errno = EINVAL;
  return -1;
}
PUBLIC off_t lseek(int file, off_t offset, int whence) { return lseek64(file, offset, whence); }

PUBLIC int ioctl(int file, unsigned long request, ...) {
  static int (*next)(int, unsigned long, ...);
  va_list rest;
  va_start(rest, request);
  void *argument = va_arg(rest, void *);
  va_end(rest);
  if (next == NULL) next = behind("ioctl");
  if (request != FS_IOC_FIEMAP) return next(file, request, argument);
  errno = EOPNOTSUPP;
  return -1;
}
