/*
 * What is mounted where, in the order of the rows. init0.c works through them; README.md tells the story.
 */
#ifndef VMLET_MOUNTS_H
#define VMLET_MOUNTS_H
#include <stddef.h>
#include <sys/mount.h>

#define KIT "/run/vmlet/kit"

/*
 * A row mounts `source` on `target`, which is made if it is missing. Type "drive" stands for whatever of the
 * filesystems is on the device, "link" for a symbolic link, "folder" for nothing to mount, "" for what is mounted.
 */
struct mount_row {
  const char *source, *target, *type;
  unsigned long flags;
  const char *options;
};
static const struct mount_row early_rows[] = {
    {"proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
    {"sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
    {"devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755"},
};
static const struct mount_row root_rows[] = {
    {"/dev/vda", "/rom-lower", "drive", MS_RDONLY, NULL},
    {"tmpfs", "/rw", "tmpfs", 0, "mode=0755"},
    {"", "/rw/upper", "folder", 0, NULL},
    {"", "/rw/work", "folder", 0, NULL},
    {"overlay", "/root", "overlay", 0, "lowerdir=/rom-lower,upperdir=/rw/upper,workdir=/rw/work"},
    {"/proc", "/root/proc", "", MS_MOVE, NULL},
    {"/sys", "/root/sys", "", MS_MOVE, NULL},
    {"/dev", "/root/dev", "", MS_MOVE, NULL},
    {"/rom-lower", "/root/rom", "", MS_MOVE, NULL},
};
static const struct mount_row inner_rows[] = {
    {"tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755"},
    {"tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"},
    {"devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=620,ptmxmode=666"},
    {"tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"},
    {"cgroup2", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
    {"", "/sys/fs/cgroup/vmlet", "folder", 0, NULL},
    {"/proc/self/fd", "/dev/fd", "link", 0, NULL},
    {"/proc/self/fd/0", "/dev/stdin", "link", 0, NULL},
    {"/proc/self/fd/1", "/dev/stdout", "link", 0, NULL},
    {"/proc/self/fd/2", "/dev/stderr", "link", 0, NULL},
};
/* Not of a machine whose image brings its own init. */
static const struct mount_row kit_row = {"/dev/vdb", KIT, "drive", MS_RDONLY | MS_NOSUID | MS_NODEV, NULL};
static const struct {
  const char *type, *magic;
  size_t offset, length;
  const char *options;
} filesystems[] = {
    {"erofs", "\xE2\xE1\xF5\xE0", 1024, 4, NULL},
    {"squashfs", "hsqs", 0, 4, NULL},
    {"btrfs", "_BHRfS_M", 65600, 8, NULL},
    {"ext4", "\x53\xEF", 1080, 2, "noload"}, /* noload: the journal of a read-only image cannot be replayed */
};
#define FILESYSTEMS "erofs, squashfs, ext4 or btrfs"

#endif
