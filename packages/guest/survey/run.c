/* Runs a program of the image, for so long and no longer, and keeps the beginning of what it says. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "survey.h"

static long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static _Noreturn void become(char *const argv[], int out) {
  setsid();
  int null = open("/dev/null", O_RDONLY);
  dup2(null, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(out, STDERR_FILENO);
  close_range(3, ~0U, 0);
  execv(argv[0], argv);
  _exit(127);
}

/* Until its end of the pipe is closed, or the time is over. More than there is room for is read and dropped. */
static void read_output(int fd, long until, struct ran *ran) {
  for (;;) {
    struct pollfd end = {fd, POLLIN, 0};
    char rest[4096];
    long left = until - now_ms();
    if (left <= 0 || poll(&end, 1, (int)left) == 0) {
      ran->late = true;
      return;
    }
    bool has_room = ran->length < RUN_OUTPUT_BYTES;
    ssize_t n = has_room ? read(fd, ran->output + ran->length, RUN_OUTPUT_BYTES - ran->length) : read(fd, rest, sizeof rest);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    if (has_room) ran->length += (size_t)n;
  }
}

/* Its output may end before it does. */
static void wait_for_end(pid_t child, long until, struct ran *ran) {
  struct pollfd end = {pidfd_open(child, 0), POLLIN, 0};
  long left = until - now_ms();
  if (end.fd < 0 || left <= 0 || poll(&end, 1, (int)left) == 0) ran->late = true;
  if (end.fd >= 0) close(end.fd);
}

void run(char *const argv[], int limit_ms, struct ran *ran) {
  int out[2], status = 0;
  long began = now_ms();
  *ran = (struct ran){.status = -1};
  if (pipe2(out, O_CLOEXEC) != 0) return;
  pid_t child = fork();
  if (child == 0) become(argv, out[1]);
  close(out[1]);
  if (child > 0) {
    read_output(out[0], began + limit_ms, ran);
    if (!ran->late) wait_for_end(child, began + limit_ms, ran);
    kill(-child, SIGKILL); /* what it has left behind, too */
    kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (!ran->late) ran->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  close(out[0]);
  ran->milliseconds = now_ms() - began;
  ran->output[ran->length] = '\0';
}
