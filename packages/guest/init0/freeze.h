/*
 * What a machine goes through before its memory becomes a snapshot. All that the launcher and its program are runs in
 * one cgroup; init0 and the wire do not. While it is frozen not one instruction of theirs is run: neither after the
 * memory was saved nor in a clone, until that has randomness, clock and identity of its own.
 */
#ifndef VMLET_FREEZE_H
#define VMLET_FREEZE_H
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CGROUPS "/sys/fs/cgroup"
#define PROGRAM_GROUP CGROUPS "/vmlet"

enum { MARGIN_BYTES = 8 << 20 }; /* of free memory that is left alone: what runs meanwhile needs some */

/* Writes a word to a file of the kernel's. False with errno. */
static bool tell_kernel(const char *path, const char *word) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  bool ok = fd >= 0 && write(fd, word, strlen(word)) >= 0;
  int error = errno;
  if (fd >= 0) close(fd);
  errno = error;
  return ok;
}

/* Stops all of the program's processes; returns when none of them runs. Or lets them go on. */
static bool freeze_program(bool frozen) {
  char events[256] = "";
  int fd = open(PROGRAM_GROUP "/cgroup.events", O_RDONLY | O_CLOEXEC);
  bool ok = fd >= 0 && tell_kernel(PROGRAM_GROUP "/cgroup.freeze", frozen ? "1" : "0");
  while (ok && frozen) {
    ssize_t n = pread(fd, events, sizeof events - 1, 0);
    if (!(ok = n >= 0)) break;
    events[n] = '\0';
    if (strstr(events, "frozen 1")) break;
    struct pollfd change = {.fd = fd, .events = POLLPRI};
    ok = poll(&change, 1, -1) >= 0 || errno == EINTR;
  }
  int error = errno;
  if (fd >= 0) close(fd);
  errno = error;
  return ok;
}

static size_t free_bytes(void) {
  char text[1024] = "";
  int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  const char *row = n > 0 ? strstr(text, "MemFree:") : NULL;
  return row ? strtoul(row + 8, NULL, 10) * 1024 : 0;
}

/*
 * Fills free memory with zeros, which take no room in a snapshot; what was freed before still holds what it held. A
 * child takes it all from the kernel, which clears each page that it hands out, and is gone. Nothing fails if that does.
 */
static void clear_free_memory(void) {
  size_t size = free_bytes();
  if (size <= MARGIN_BYTES) return;
  pid_t child = fork();
  if (child == 0) {
    tell_kernel("/proc/self/oom_score_adj", "1000");
    void *all = mmap(NULL, size - MARGIN_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all != MAP_FAILED) madvise(all, size - MARGIN_BYTES, MADV_POPULATE_WRITE);
    _exit(0);
  }
  if (child > 0) waitpid(child, NULL, 0);
}

#endif
