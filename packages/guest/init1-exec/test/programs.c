/*
 * Programs to launch: `programs MODE` listens on $PORT as MODE says and answers each request with what it sees of itself.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int port;
static struct sockaddr_in6 address; /* static: below 4 GiB, where an i386 call can point to */
static socklen_t length;

static _Noreturn void die(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(9);
}

static void set_address(const char *text, int at_port) {
  struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
  memset(&address, 0, sizeof address);
  bool is_v6 = strchr(text, ':') != NULL;
  address.sin6_family = is_v6 ? AF_INET6 : AF_INET;
  address.sin6_port = htons((uint16_t)at_port);
  length = is_v6 ? sizeof address : sizeof *v4;
  if (inet_pton(is_v6 ? AF_INET6 : AF_INET, text, is_v6 ? (void *)&address.sin6_addr : (void *)&v4->sin_addr) != 1)
    die(text);
}

static int bound(const char *text, int at_port, int option, int protocol) {
  int on = 1;
  set_address(text, at_port);
  int fd = socket(address.sin6_family, SOCK_STREAM | SOCK_CLOEXEC, protocol);
  if (fd < 0) die("socket");
  if (option) setsockopt(fd, SOL_SOCKET, option, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&address, length) != 0) die("bind");
  return fd;
}

static int listening(const char *text, int at_port) {
  int fd = bound(text, at_port, SO_REUSEADDR, 0);
  if (listen(fd, 16) != 0) die("listen");
  return fd;
}

/* What Python's asyncio does with "localhost". */
static int listening_both(const char *first, const char *second, int option) {
  int one = bound(first, port, option, 0), two = bound(second, port, option, 0);
  if (listen(one, 16) != 0 || listen(two, 16) != 0) die("listen");
  return fork() == 0 ? one : two;
}

static long i386(long nr, long a, long b, long c) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(nr), "b"(a), "c"(b), "d"(c) : "memory", "r8", "r9", "r10", "r11");
  return result;
}

static int listening_i386(bool by_socketcall) {
  static uint32_t words[3];
  set_address("127.0.0.1", port);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  long results[2];
  if (by_socketcall) {
    words[0] = (uint32_t)fd, words[1] = (uint32_t)(uintptr_t)&address, words[2] = length;
    results[0] = i386(102, 2, (long)words, 0);
    words[1] = 16;
    results[1] = i386(102, 4, (long)words, 0);
  } else {
    results[0] = i386(361, fd, (long)&address, length);
    results[1] = i386(363, fd, 16, 0);
  }
  errno = (int)-(results[0] | results[1]);
  if (errno) die("i386");
  return fd;
}

static _Noreturn void serve(int fd) {
  char exe[4096] = "", cwd[4096] = "", request[4096], body[16384];
  if (readlink("/proc/thread-self/exe", exe, sizeof exe - 1) < 0 || !getcwd(cwd, sizeof cwd)) die("look");
  int size = snprintf(body, sizeof body, "{\"exe\":\"%s\",\"cwd\":\"%s\",\"noNewPrivs\":%d}", exe, cwd,
                      prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  for (;;) {
    int client = accept(fd, NULL, NULL);
    if (client < 0) die("accept");
    if (read(client, request, sizeof request) > 0)
      dprintf(client, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", size, body);
    close(client);
  }
}

static void *serve_in_thread(void *unused) {
  (void)unused;
  serve(listening("127.0.0.1", port));
}

static _Noreturn void from_thread(bool main_ends) {
  pthread_t thread;
  pthread_create(&thread, NULL, serve_in_thread, NULL);
  if (main_ends) pthread_exit(NULL);
  pthread_join(thread, NULL);
  exit(0);
}

static _Noreturn void from_child(void) {
  if (fork() == 0) serve(listening("0.0.0.0", port));
  wait(NULL);
  exit(0);
}

static void on_signal(int number) { (void)number; }

/* A signal every 20 us, as Go's scheduler sends them, must not tear a call apart. */
static int listening_under_signals(void) {
  struct itimerval storm = {{0, 20}, {0, 20}}, none = {0};
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &storm, NULL);
  for (int i = 0; i < 300; i++) close(bound("127.0.0.1", port, SO_REUSEADDR, 0));
  int fd = listening("127.0.0.1", port);
  setitimer(ITIMER_REAL, &none, NULL);
  return fd;
}

/* All that is not to be taken for the port: a Unix socket, UDP, another port. It goes on when a client comes there. */
static int listening_late(void) {
  struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "\0init1-exec-test"};
  int pid = getpid();
  memcpy(local.sun_path + 16, &pid, sizeof pid);
  int unix_fd = socket(AF_UNIX, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);
  if (bind(unix_fd, (struct sockaddr *)&local, sizeof local) != 0 || listen(unix_fd, 1) != 0) die("unix");
  set_address("127.0.0.1", port);
  if (bind(udp, (struct sockaddr *)&address, length) != 0) die("udp");
  int other = listening("127.0.0.1", 0);
  getsockname(other, (struct sockaddr *)&address, &length);
  printf("other %d\n", ntohs(address.sin6_port));
  fflush(stdout);
  if (accept(other, NULL, NULL) < 0) die("accept");
  return listening("0.0.0.0", port);
}

/* In a network of its own, where no host comes. */
static _Noreturn void listen_apart(void) {
  if (unshare(CLONE_NEWNET) != 0) die("unshare");
  listening("0.0.0.0", port);
  puts("apart");
  fflush(stdout);
  for (;;) pause();
}

/* What fails without a launcher fails with one, in the same way. */
static int listening_after_errors(void) {
  int fd = bound("127.0.0.1", port, 0, 0), second = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(second, (struct sockaddr *)&address, length) == 0 || errno != EADDRINUSE) die("bind of a used port");
  if (bind(fd, (struct sockaddr *)&address, length) == 0 || errno != EINVAL) die("second bind");
  if (bind(-1, (struct sockaddr *)&address, length) == 0 || errno != EBADF) die("bind of no socket");
  if (bind(second, (struct sockaddr *)1, length) == 0 || errno != EFAULT) die("bind from nowhere");
  if (bind(second, (struct sockaddr *)&address, 3) == 0 || errno != EINVAL) die("bind of a short address");
  if (listen(77, 1) == 0 || errno != EBADF) die("listen of no socket");
  if (listen(STDIN_FILENO, 1) == 0 || errno != ENOTSOCK) die("listen of a file");
  if (listen(fd, 1) != 0 || listen(fd, 16) != 0) die("listen twice");
  return fd;
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "0.0.0.0", *text = getenv("PORT");
  port = text ? atoi(text) : 0;
  if (strcmp(mode, "thread") == 0) from_thread(false);
  if (strcmp(mode, "thread-alone") == 0) from_thread(true);
  if (strcmp(mode, "child") == 0) from_child();
  if (strcmp(mode, "signals") == 0) serve(listening_under_signals());
  if (strcmp(mode, "late") == 0) serve(listening_late());
  if (strcmp(mode, "errors") == 0) serve(listening_after_errors());
  if (strcmp(mode, "apart") == 0) listen_apart();
  if (strcmp(mode, "i386") == 0) serve(listening_i386(false));
  if (strcmp(mode, "socketcall") == 0) serve(listening_i386(true));
  if (strcmp(mode, "both-6-4") == 0) serve(listening_both("::1", "127.0.0.1", 0));
  if (strcmp(mode, "both-4-6") == 0) serve(listening_both("127.0.0.1", "::1", 0));
  if (strcmp(mode, "both-6-4-reuse") == 0) serve(listening_both("::1", "127.0.0.1", SO_REUSEADDR));
  if (strcmp(mode, "both-4-6-reuse") == 0) serve(listening_both("127.0.0.1", "::1", SO_REUSEADDR));
  if (strcmp(mode, "reuseport") == 0) serve(listening_both("127.0.0.1", "127.0.0.1", SO_REUSEPORT));
  if (strcmp(mode, "segv") == 0) raise(SIGSEGV);
  if (strcmp(mode, "mptcp") == 0) {
    int fd = bound("127.0.0.1", port, SO_REUSEADDR, IPPROTO_MPTCP);
    if (listen(fd, 16) != 0) die("listen");
    serve(fd);
  }
  serve(listening(mode, port));
}
