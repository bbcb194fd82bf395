/*
 * The listen() of a program, seen and made by its launcher. A seccomp filter hands each of these calls, of the program
 * and all that come of it, to whoever reads the filter's descriptor; all other calls take their own way. README.md has
 * the reasons.
 */
#ifndef VMLET_CALLS_H
#define VMLET_CALLS_H
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* What an i386 program calls, whatever this is compiled for. */
enum { I386_SOCKETCALL = 102, I386_LISTEN = 363, SOCKETCALL_LISTEN = 4 };
enum { PIDFD_OF_THREAD = O_EXCL }; /* PIDFD_THREAD, Linux 6.9 */

static bool has_listened;

/* Says something once in the program's log; what was said is known by its format. */
__attribute__((format(printf, 1, 2))) static void remark(const char *format, ...) {
  static const char *said[4];
  char text[256];
  va_list arguments;
  size_t i = 0;
  while (i < COUNT(said) - 1 && said[i] && said[i] != format) i++;
  if (said[i] == format) return;
  said[i] = format;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  dprintf(STDERR_FILENO, "init1-exec: %s\n", text);
}

/* Installs the filter for this process and all that come of it. Returns the descriptor of its calls. */
static int install_filter(void) {
  static struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 2),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_listen, 7, 6),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_I386, 0, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, I386_LISTEN, 4, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, I386_SOCKETCALL, 0, 2),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOCKETCALL_LISTEN, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
  };
  struct sock_fprog filter = {COUNT(code), code};
  /* A call that is being answered is not restarted by a signal: the launcher would make it twice. */
  unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW |
                        SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
  int fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter);
  if (fd >= 0 || errno != EACCES) return fd;
  /* Only without CAP_SYS_ADMIN: it takes setuid helpers away from the program. */
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter);
}

static bool peek(pid_t thread, uint64_t address, void *to, size_t n) {
  struct iovec mine = {to, n}, theirs = {(void *)(uintptr_t)address, n};
  return process_vm_readv(thread, &mine, 1, &theirs, 1, 0) == (ssize_t)n;
}

struct call {
  int fd, backlog;
};

/* Reads a call out of its thread. False if that is not possible: the kernel says what is wrong with it. */
static bool read_call(const struct seccomp_notif *notice, struct call *call) {
  const struct seccomp_data *data = &notice->data;
  uint32_t words[2] = {(uint32_t)data->args[0], (uint32_t)data->args[1]};
  if (data->arch == AUDIT_ARCH_I386 && data->nr == I386_SOCKETCALL &&
      !peek((pid_t)notice->pid, data->args[1], words, sizeof words)) return false;
  call->fd = (int)words[0];
  call->backlog = (int)words[1];
  return true;
}

/* A duplicate of a thread's descriptor, or -1. The number is a thread's, and a pidfd is of its process. */
static int take_descriptor(pid_t thread, int number) {
  char path[64], text[4096] = "";
  snprintf(path, sizeof path, "/proc/%d/status", thread);
  int status = open(path, O_RDONLY | O_CLOEXEC);
  if (status < 0 || read(status, text, sizeof text - 1) < 0) *text = '\0';
  if (status >= 0) close(status);
  const char *group = strstr(text, "\nTgid:");
  int process = group ? pidfd_open(atoi(group + 6), 0) : -1, fd = process < 0 ? -1 : pidfd_getfd(process, number, 0);
  if (process >= 0) close(process);
  if (fd >= 0 || (process = pidfd_open(thread, PIDFD_OF_THREAD)) < 0) return fd;
  fd = pidfd_getfd(process, number, 0); /* the thread that ran main() has ended */
  close(process);
  return fd;
}

/* Whether a descriptor is there that could not be taken: before Linux 6.9 that is so without a main thread. */
static bool is_out_of_reach(pid_t thread, int number) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/fd/%d", thread, number);
  return access(path, F_OK) == 0;
}

/* Whether the host can speak HTTP to a socket: TCP (MPTCP is Go's default), and in the machine's own network. */
static bool is_served(int fd) {
  int domain = 0, type = 0, protocol = 0;
  socklen_t size = sizeof(int);
  struct stat theirs, ours;
  getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);
  getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
  getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size);
  if ((domain != AF_INET && domain != AF_INET6) || type != SOCK_STREAM) return false;
  if (protocol != IPPROTO_TCP && protocol != IPPROTO_MPTCP) return false;
  int network = ioctl(fd, SIOCGSKNS); /* a privilege; who has it not makes no networks */
  bool is_other = network >= 0 && fstat(network, &theirs) == 0 && stat("/proc/self/ns/net", &ours) == 0 &&
                  (theirs.st_ino != ours.st_ino || theirs.st_dev != ours.st_dev);
  if (network >= 0) close(network);
  return !is_other;
}

/* Whether a socket that listens is where the wire connects: at 127.0.0.1 or ::1, on that port. */
static bool is_waited_for(int fd, int port) {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  } at = {0};
  socklen_t length = sizeof at;
  char text[INET6_ADDRSTRLEN] = "";
  getsockname(fd, &at.any, &length);
  int found = ntohs(at.v4.sin_port); /* where it is in IPv6 too */
  has_listened |= found == port;
  if (!has_listened) remark("the program listens on port %d; what is waited for is $PORT, %d", found, port);
  if (found != port) return false;
  bool is_v6 = at.any.sa_family == AF_INET6, is_mapped = is_v6 && IN6_IS_ADDR_V4MAPPED(&at.v6.sin6_addr);
  struct in_addr v4 = at.v4.sin_addr;
  if (is_mapped) memcpy(&v4, at.v6.sin6_addr.s6_addr + 12, sizeof v4);
  bool is_reached = is_v6 && !is_mapped ? IN6_IS_ADDR_UNSPECIFIED(&at.v6.sin6_addr) || IN6_IS_ADDR_LOOPBACK(&at.v6.sin6_addr)
                                        : v4.s_addr == htonl(INADDR_ANY) || v4.s_addr == htonl(INADDR_LOOPBACK);
  inet_ntop(at.any.sa_family, is_v6 ? (void *)&at.v6.sin6_addr : (void *)&at.v4.sin_addr, text, sizeof text);
  if (!is_reached) remark("the program listens on %s only; what is reached is 127.0.0.1 and ::1", text);
  return is_reached;
}

/* Answers one call: the program waits, so nothing here may block. True if a socket now listens on that port. */
static bool take_call(int calls_fd, int port) {
  union { /* room for what later kernels add */
    struct seccomp_notif notice;
    struct seccomp_notif_resp answer;
    char room[512];
  } in, out;
  struct call call;
  bool listens = false;
  memset(&in, 0, sizeof in);
  memset(&out, 0, sizeof out);
  memset(&call, 0, sizeof call);
  if (ioctl(calls_fd, SECCOMP_IOCTL_NOTIF_RECV, &in) != 0) return false; /* killed in the call */
  out.answer.id = in.notice.id;
  out.answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  int fd = read_call(&in.notice, &call) ? take_descriptor((pid_t)in.notice.pid, call.fd) : -1;
  if (fd < 0 && is_out_of_reach((pid_t)in.notice.pid, call.fd))
    remark("cannot see what the program listens on; its main thread must not end before");
  /* Still valid after the look at it, so it was its thread that was looked at, not one with its number. */
  if (fd >= 0 && ioctl(calls_fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &in.notice.id) == 0 && is_served(fd)) {
    out.answer.flags = 0;
    out.answer.error = listen(fd, call.backlog) == 0 ? 0 : -errno;
    listens = out.answer.error == 0 && is_waited_for(fd, port);
  }
  ioctl(calls_fd, SECCOMP_IOCTL_NOTIF_SEND, &out); /* fails if it was killed meanwhile */
  if (fd >= 0) close(fd);
  return listens;
}

#endif
