/*
 * btrfs is 4.5 MB of modules, twice what all others have: no machine carries them in its initramfs. A machine whose
 * root drive is btrfs takes them from the kit's drive, which has all modules of the kernel.
 */
#ifndef VMLET_BTRFS_H
#define VMLET_BTRFS_H
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "root.h"

#define BTRFS_LIST "/modules/btrfs" /* paths below the kernel's modules, in order of dependencies; the boot kit writes it */
#define KIT_BEFORE_ROOT "/kit-before-root"

/* Before the root is there; the drive is mounted again, where programs see it, after that. */
static bool insert_btrfs(void) {
  static const struct mount_row kit = {"/dev/vdb", KIT_BEFORE_ROOT, "drive", MS_RDONLY | MS_NOSUID | MS_NODEV, NULL};
  char list[2048] = "", path[PATH_MAX];
  struct utsname kernel;
  uname(&kernel);
  if (read_file(BTRFS_LIST, list, sizeof list - 1) < 0) /* behind the root there is no such list any more */
    return fail(errno, "MOUNT_FAILED", "Cannot mount a drive of btrfs that is not the root");
  if (!mount_row(kit)) return false;
  for (char *name = strtok(list, "\n"); name; name = strtok(NULL, "\n")) {
    snprintf(path, sizeof path, KIT_BEFORE_ROOT "/modules/%s/%s", kernel.release, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST))
      return fail(errno, "MODULE_FAILED", "Cannot insert module \"%s\" of the kit's drive", path);
    close(fd);
  }
  return umount2(KIT_BEFORE_ROOT, 0) == 0 || fail(errno, "MOUNT_FAILED", "Cannot unmount \"" KIT_BEFORE_ROOT "\"");
}

#endif
