/*
 * replace.node: lets a process of Node.js become another program, by execve, with the descriptors that are named. Node's
 * own process.execve is newer than most versions that the launcher is for, and hands on none but stdin, stdout and
 * stderr. It calls the kernel and Node's stable C interface and nothing else: no libc, so that it loads on any.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "napi.h"

enum { MAX_TEXTS = 4096 };

static long call(long number, long a, long b, long c) {
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  return result;
}

/* Lets descriptors live on, or not, in what is executed. `fds` ends with a negative number. */
static void set_close_on_exec(const int32_t *fds, int flag) {
  for (; *fds >= 0; fds++) call(SYS_fcntl, *fds, F_SETFD, flag);
}

/*
 * replace(texts, fds): `texts` holds the arguments, the first of which is the path too, then an empty text, then the
 * environment, each ended by a NUL; `fds` 32-bit integers, the last of which is negative. Returns only if it fails: with
 * the errno.
 */
static napi_value replace(napi_env env, napi_info info) {
  static char *pointers[MAX_TEXTS + 2];
  napi_value arguments[2], result = NULL;
  size_t count = 2, length = 0, unused;
  char *text = NULL, **next = pointers, **environment = NULL;
  int32_t *fds = NULL;
  long error = EINVAL;
  if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) == 0 && count == 2 &&
      napi_get_buffer_info(env, arguments[0], (void **)&text, &length) == 0 &&
      napi_get_buffer_info(env, arguments[1], (void **)&fds, &unused) == 0) {
    for (char *end = text + length; text < end && next < pointers + MAX_TEXTS; text++) {
      if (*text) *next++ = text;
      else if (!environment) *next++ = NULL, environment = next;
      while (*text) text++;
    }
    *next = NULL;
    error = E2BIG;
    if (environment && text >= *pointers + length) {
      set_close_on_exec(fds, 0);
      error = -call(SYS_execve, (long)*pointers, (long)pointers, (long)environment);
      set_close_on_exec(fds, FD_CLOEXEC);
    }
  }
  napi_create_int32(env, (int32_t)error, &result);
  return result;
}

NAPI_INIT(napi_env env, napi_value exports) {
  napi_value function = exports;
  napi_create_function(env, "replace", 7, replace, NULL, &function);
  return function;
}
