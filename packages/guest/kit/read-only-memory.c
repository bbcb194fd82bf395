/*
 * Loaded into QEMU before all else, for a machine that is restored. QEMU 7.2 opens the file of its memory for reading
 * and writing even where it maps a copy of its own (share=off): a guest that breaks out could then write into the memory
 * of all its siblings. The file that VMLET_MEMORY names is opened for reading.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* What `open(path, flags)` is compiled to in a program with checks of its arguments, as Debian's QEMU is. */
int __open64_2(const char *path, int flags);

int __open64_2(const char *path, int flags) {
  int (*real)(const char *, int) = (int (*)(const char *, int))dlsym(RTLD_NEXT, "__open64_2");
  const char *memory = getenv("VMLET_MEMORY");
  if (memory && strcmp(path, memory) == 0 && (flags & O_ACCMODE) == O_RDWR) flags = (flags & ~O_ACCMODE) | O_RDONLY;
  return real(path, flags);
}
