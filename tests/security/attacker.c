/*
 * What someone does who has broken out of a guest into QEMU. It is started in the place of QEMU, and tells on
 * descriptor 3 how each attack went: a line "name result", where the result is "ok", or the number of the error.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/vm_sockets.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define REPORT_FD 3

static void number(const char *name, long value) { dprintf(REPORT_FD, "%s %ld\n", name, value); }

static void attempt(const char *name, long returned) {
  if (returned >= 0)
    dprintf(REPORT_FD, "%s ok\n", name);
  else
    dprintf(REPORT_FD, "%s %d\n", name, errno);
}

static void attempt_at(const char *name, const char *path, long returned) {
  char label[512];
  snprintf(label, sizeof label, "%s:%s", name, path);
  attempt(label, returned);
}

static void who_am_i(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct caps[2];
  memset(caps, 0, sizeof caps);
  syscall(SYS_capget, &header, caps);
  number("capabilities", (long)(caps[0].effective | caps[1].effective | caps[0].permitted | caps[1].permitted |
                                caps[0].inheritable | caps[1].inheritable));
  long bounding = 0;
  for (int cap = 0; cap < 64; cap++) bounding += prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1;
  number("bounding", bounding);
  number("no_new_privs", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  number("uid", getuid());
  number("gid", getgid());
  number("groups", getgroups(0, NULL));
  number("pid", getpid());
  attempt("setuid", setuid(0));
  attempt("setgroups", setgroups(0, NULL));
}

static void other_processes(void) {
  long seen = 0;
  for (pid_t pid = 1; pid < 200000; pid++) seen += kill(pid, 0) == 0 || errno == EPERM;
  number("processes", seen);
  attempt("ptrace", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
  struct iovec vec = {&seen, sizeof seen};
  attempt("process_vm_readv", process_vm_readv(getpid(), &vec, 1, &vec, 1, 0));
}

static void namespaces(void) {
  attempt("unshare_user", unshare(CLONE_NEWUSER));
  attempt("unshare_mount", unshare(CLONE_NEWNS));
  long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
  if (child == 0) _exit(0);
  attempt("clone_user", child);
  attempt("clone3", syscall(SYS_clone3, NULL, 0));
  attempt("setns", setns(REPORT_FD, 0));
  attempt("mount", mount("none", "/", "tmpfs", 0, NULL));
  attempt("umount", umount2("/", MNT_DETACH));
  attempt("chroot", chroot("/"));
  attempt("open_tree", syscall(428, AT_FDCWD, "/", 1));
  attempt("mknod", mknod("/disk", S_IFBLK | 0600, 0));
}

static void kernel_parts(void) {
  char zeros[256] = {0};
  attempt("bpf", syscall(SYS_bpf, 0, zeros, sizeof zeros));
  attempt("perf_event_open", syscall(SYS_perf_event_open, zeros, 0, -1, -1, 0));
  attempt("userfaultfd", syscall(SYS_userfaultfd, 0));
  attempt("io_uring_setup", syscall(425, 1, zeros));
  attempt("keyctl", syscall(SYS_keyctl, 0, -3, 0));
  attempt("syslog", syscall(SYS_syslog, 3, zeros, sizeof zeros));
  attempt("kexec_load", syscall(SYS_kexec_load, 0, 0, NULL, 0));
  attempt("init_module", syscall(SYS_init_module, zeros, 0, ""));
}

static void sockets(int port, const char *abstract) {
  attempt("socket_inet", socket(AF_INET, SOCK_STREAM, 0));
  attempt("socket_raw", socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
  attempt("socket_vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
  attempt("socket_netlink", socket(AF_NETLINK, SOCK_RAW, 0));
  attempt("socket_packet", socket(AF_PACKET, SOCK_RAW, 0));
  attempt("socket_alg", socket(AF_ALG, SOCK_SEQPACKET, 0));
  struct sockaddr_in inet = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  attempt("connect_loopback", fd < 0 ? -1 : connect(fd, (struct sockaddr *)&inet, sizeof inet));
  struct sockaddr_un local = {.sun_family = AF_UNIX};
  memcpy(local.sun_path + 1, abstract, strlen(abstract));
  fd = socket(AF_UNIX, SOCK_STREAM, 0);
  attempt("connect_abstract", fd < 0 ? -1 : connect(fd, (struct sockaddr *)&local, 3 + strlen(abstract)));
}

static void writes(const char *path) {
  char file[512];
  snprintf(file, sizeof file, "%s/written", path);
  attempt_at("create", path, open(file, O_CREAT | O_WRONLY, 0600));
  attempt_at("mkdir", path, mkdir(file, 0700));
  attempt_at("chmod", path, chmod(path, 0777));
}

static void list_root(const char *path, int depth) {
  DIR *folder = opendir(path);
  if (!folder) return;
  for (struct dirent *entry; (entry = readdir(folder));) {
    if (entry->d_name[0] == '.') continue;
    char below[512];
    snprintf(below, sizeof below, "%s%s%s", path, path[1] ? "/" : "", entry->d_name);
    dprintf(REPORT_FD, "sees:%s ok\n", below);
    if (depth > 1 && entry->d_type == DT_DIR) list_root(below, depth - 1);
  }
  closedir(folder);
}

static void open_files(void) {
  for (int fd = 0; fd < 1024; fd++) {
    struct stat found;
    if (fstat(fd, &found) == 0) dprintf(REPORT_FD, "fd:%d %o\n", fd, (found.st_mode & S_IFMT) >> 12);
  }
}

/** Anonymous memory that is written to, until the kernel says no or ends it. */
static void eat_memory(void) {
  for (long mib = 0;; mib += 16) {
    char *piece = mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (piece == MAP_FAILED) {
      attempt("memory", -1);
      number("eaten", mib);
      return;
    }
    memset(piece, 1, 16 << 20);
    number("ate", mib + 16);
  }
}

static void fork_bomb(void) {
  long children = 0;
  for (;;) {
    pid_t child = fork();
    if (child < 0) break;
    if (child == 0) {
      pause();
      _exit(0);
    }
    children++;
  }
  attempt("fork", -1);
  number("children", children);
}

static void fill_files(void) {
  signal(SIGXFSZ, SIG_IGN);
  int fd = memfd_create("memory", 0);
  attempt("memfd", fd);
  attempt("memfd_write", write(fd, "x", 1));
  attempt("memfd_grow", ftruncate(fd, 1 << 20));
  attempt("mlock", mlock(&fd, sizeof fd));
  struct rlimit core;
  getrlimit(RLIMIT_CORE, &core);
  number("core", (long)core.rlim_max);
  struct rlimit more = {4096, 4096};
  attempt("setrlimit", setrlimit(RLIMIT_NOFILE, &more));
}

/** Arguments: what to do; then a port, an abstract name, and paths to read. */
int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  if (!strcmp(mode, "memory")) eat_memory();
  if (!strcmp(mode, "processes")) fork_bomb();
  if (!strcmp(mode, "attack") && argc > 3) {
    open_files();
    who_am_i();
    other_processes();
    namespaces();
    kernel_parts();
    sockets(atoi(argv[2]), argv[3]);
    const char *folders[] = {"/", "/tmp", "/dev", "/dev/shm", "/usr", "/usr/bin", "/machine", "/run", "/var", "/etc", "/proc"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) writes(folders[i]);
    attempt_at("write", "/machine/0", open("/machine/0", O_WRONLY));
    for (int i = 4; i < argc; i++) attempt_at("read", argv[i], open(argv[i], O_RDONLY));
    list_root("/", 2);
    fill_files();
  }
  dprintf(REPORT_FD, "began ok\n");
  /* A second word: stay until the test has looked from outside. */
  if (argc > 2 && !strcmp(argv[2], "stay")) pause();
  dprintf(REPORT_FD, "end ok\n");
  return 0;
}
