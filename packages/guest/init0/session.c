/*
 * How a session begins: the wire forks, and the child is nothing but the session. What exec.c and copy.c share.
 */
#define _GNU_SOURCE
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

void set_oom_score(const char *score) {
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  if (write(fd, score, strlen(score)) < 0) errno = 0; /* only a program can have taken the right to it away */
  close(fd);
}

bool record_send(int fd, int type, const void *bytes, size_t n) {
  unsigned char record[RECORD_HEADER_BYTES + RECORD_BYTES] = {(unsigned char)type, (unsigned char)(n >> 16),
                                                              (unsigned char)(n >> 8), (unsigned char)n};
  if (n > RECORD_BYTES) abort();
  if (n > 0) memcpy(record + RECORD_HEADER_BYTES, bytes, n);
  for (size_t sent = 0; sent < RECORD_HEADER_BYTES + n;) {
    ssize_t done = send(fd, record + sent, RECORD_HEADER_BYTES + n - sent, MSG_NOSIGNAL);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return false;
    sent += (size_t)done;
  }
  return true;
}

/* The child's side: nothing of the wire, nor of what makes it hard to end. */
static _Noreturn void become_session(int kind, const unsigned char *payload, size_t n, int fd) {
  static unsigned char request[WIRE_PAYLOAD_BYTES + 1];
  sigset_t none;
  memcpy(request, payload, n);
  dup2(fd, 3);
  close_range(4, ~0U, 0);
  set_oom_score("0");
  prctl(PR_SET_NAME, "session");
  signal(SIGTERM, SIG_DFL);
  signal(SIGCHLD, SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (kind == WIRE_EXEC) exec_run(3, request, n);
  copy_run(3, request, n);
}

int session_start(int kind, const unsigned char *request, size_t n, int *fd) {
  int pair[2], error = kind == WIRE_EXEC ? exec_check(request, n) : copy_check(request, n);
  if (error != 0) return error;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return errno;
  pid_t child = fork();
  if (child == 0) become_session(kind, request, n, pair[1]);
  error = child < 0 ? errno : 0;
  close(pair[1]);
  *fd = pair[0]; /* the stream's, whatever comes */
  if (error == 0 && fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0) error = errno;
  return error;
}
