/*
 * Loaded into QEMU before all else, for a machine that is restored. Before anything of QEMU runs, but with all that it
 * is linked with in memory, it waits for the files of the snapshot: so a process can be started before anybody knows
 * which snapshot it is for, and the most of its start is over when it is wanted.
 *
 *   VMLET_LATE    the Unix socket on which one message with the descriptors comes; its end is that of the process
 *   VMLET_MEMORY  the path by which QEMU asks for the first of them, the guest's memory
 *
 * They get the numbers from FIRST_FD on, in their order. Memory is a descriptor that can only be read, since QEMU 7.2
 * opens that file for reading and writing even where it maps a copy of its own (share=off): a guest that breaks out
 * could then write into the memory of all its siblings.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST_FD = 200, MAX_FDS = 32 };

/* How many come, or -1. */
static int receive(int socket, int *fds) {
  char byte, control[CMSG_SPACE(MAX_FDS * sizeof(int))] __attribute__((aligned(sizeof(size_t))));
  struct iovec data = {&byte, 1};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  ssize_t n;
  while ((n = recvmsg(socket, &message, 0)) < 0 && errno == EINTR) continue;
  struct cmsghdr *head = n == 1 ? CMSG_FIRSTHDR(&message) : NULL;
  if (!head || head->cmsg_type != SCM_RIGHTS || (message.msg_flags & MSG_CTRUNC)) return -1;
  memcpy(fds, CMSG_DATA(head), head->cmsg_len - CMSG_LEN(0));
  return (int)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
}

__attribute__((constructor)) static void wait_for_files(void) {
  const char *late = getenv("VMLET_LATE");
  int fds[MAX_FDS];
  if (!late) return;
  /* A clone writes a little of much: in pages of 2 MiB that would be memory for 2 MiB more, for each of them. */
  prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  int socket = atoi(late), count = receive(socket, fds);
  if (count < 0) _exit(0); /* not wanted any more */
  close(socket);
  for (int i = 0; i < count; i++)
    if (dup2(fds[i], FIRST_FD + i) < 0 || close(fds[i]) != 0) _exit(1);
}

/* What `open(path, flags)` is compiled to in a program with checks of its arguments, as Debian's QEMU is. */
int __open64_2(const char *path, int flags);

int __open64_2(const char *path, int flags) {
  const char *memory = getenv("VMLET_MEMORY");
  if (memory && strcmp(path, memory) == 0) return fcntl(FIRST_FD, F_DUPFD_CLOEXEC, 0);
  int (*real)(const char *, int) = (int (*)(const char *, int))dlsym(RTLD_NEXT, "__open64_2");
  return real(path, flags);
}
