/*
 * A machine whose image is a whole system (systemd, OpenRC, ...) is started by init0 and then left to it: init0 makes the
 * root, says hello, and becomes /sbin/init. Nothing of init0 stays. The host learns the rest from the console, and ends
 * the machine by its power button.
 */
#ifndef VMLET_DISTRIBUTION_H
#define VMLET_DISTRIBUTION_H
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "frames.h"
#include "root.h"

#define DISTRIBUTION_INIT "/sbin/init"
#define ROOT_DRIVE "/dev/vda"

/* A disk of the machine's own is its root as it is; of an image that is not its own, only a copy is written. */
static const struct mount_row disk_rows[] = {{ROOT_DRIVE, "/root", "drive", 0, NULL}};
static const struct mount_row copy_rows[] = {
    {ROOT_DRIVE, "/rom-lower", "drive", MS_RDONLY, NULL},
    {"tmpfs", "/rw", "tmpfs", 0, "mode=0755"},
    {"", "/rw/upper", "folder", 0, NULL},
    {"", "/rw/work", "folder", 0, NULL},
    {"overlay", "/root", "overlay", 0, "lowerdir=/rom-lower,upperdir=/rw/upper,workdir=/rw/work"},
};
static const struct mount_row moved_rows[] = {
    {"/proc", "/root/proc", "", MS_MOVE, NULL},
    {"/sys", "/root/sys", "", MS_MOVE, NULL},
    {"/dev", "/root/dev", "", MS_MOVE, NULL},
};
/*
 * systemd and OpenRC mount what they want of the rest, and leave alone what is mounted. What is below /run/initramfs
 * systemd does not unmount before the end, when udev has the kernel's modules in use.
 */
#define DISTRIBUTION_KIT "/run/initramfs/vmlet"
static const struct mount_row run_rows[] = {
    {"tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755"},
    {"/dev/vdb", DISTRIBUTION_KIT, "drive", MS_RDONLY | MS_NOSUID | MS_NODEV, NULL},
};

/* The host says so by a word of the kernel's command line, which is a variable for init0. */
static bool is_distribution(void) {
  const char *init = getenv("vmlet_init");
  return init && strcmp(init, "distribution") == 0;
}

static bool root_is_writable(void) {
  char flag = '1';
  return read_file("/sys/block/vda/ro", &flag, 1) == 1 && flag == '0';
}

/* Up to where the root is below /root, and all of the early mounts with it. */
static bool mount_distribution(void) {
  bool made = root_is_writable() ? mount_rows(disk_rows, COUNT(disk_rows)) : mount_rows(copy_rows, COUNT(copy_rows));
  return made && mount_rows(moved_rows, COUNT(moved_rows));
}

/* Past the point where links of the image lead into it: what belongs inside, and the modules of this kernel. */
static bool furnish_distribution(void) {
  char source[PATH_MAX], target[PATH_MAX];
  struct utsname kernel;
  uname(&kernel);
  snprintf(source, sizeof source, DISTRIBUTION_KIT "/modules/%s", kernel.release);
  snprintf(target, sizeof target, "/lib/modules/%s", kernel.release);
  return mount_rows(run_rows, COUNT(run_rows)) && make_path("/lib/modules") &&
         mount_row((struct mount_row){source, target, "link", 0, NULL});
}

/* Says what is queued and becomes the system. Returns only when that fails. */
static bool become_distribution(struct queue *to_host) {
  char *arguments[] = {DISTRIBUTION_INIT, NULL}, *environment[] = {"HOME=/", "TERM=linux", NULL};
  for (queue_flush(to_host); !queue_empty(to_host); queue_flush(to_host))
    poll(&(struct pollfd){.fd = to_host->fd, .events = POLLOUT}, 1, -1);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  execve(DISTRIBUTION_INIT, arguments, environment);
  return fail(errno, "INIT_FAILED", "Cannot start \"" DISTRIBUTION_INIT "\" of the image, expected that of a system");
}

#endif
