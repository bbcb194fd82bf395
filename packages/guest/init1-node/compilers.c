/*
 * compilers.node: sets flags of V8's a while after it is told to, from a thread of its own: whatever the program computes
 * meanwhile cannot keep it from that, as it would keep a timer of JavaScript's. The thread is there ahead and waits, so
 * that a clone of a snapshot has nothing to make. Like replace.c it needs no libc: threads are libuv's, which Node exports.
 */
#include <stddef.h>
#include <stdint.h>

#include "napi.h"

/* libuv's, of uv.h: a thread is a pthread_t, a semaphore at most a sem_t, with room to spare. NULL where Node hides them. */
typedef unsigned long uv_thread_t;
typedef union {
  char bytes[128];
  long alignment;
} uv_sem_t;
extern int uv_thread_create(uv_thread_t *thread, void (*entry)(void *), void *argument) __attribute__((weak));
extern int uv_sem_init(uv_sem_t *semaphore, unsigned value) __attribute__((weak));
extern void uv_sem_wait(uv_sem_t *semaphore) __attribute__((weak));
extern void uv_sem_post(uv_sem_t *semaphore) __attribute__((weak));
extern void uv_sleep(unsigned milliseconds) __attribute__((weak));
/* v8::V8::SetFlagsFromString(const char *, size_t): a flag is a bool that V8 reads when it next decides. */
extern void _ZN2v82V818SetFlagsFromStringEPKcm(const char *text, size_t length) __attribute__((weak));

enum { MAX_FLAGS_BYTES = 256 };

static struct {
  uv_sem_t started;
  uint32_t delay_ms;
  /* How often `prepare` was called: what was started before the last time is not to be done any more. */
  uint32_t round;
  size_t length;
  char flags[MAX_FLAGS_BYTES];
} later;

static void set_later(void *unused) {
  (void)unused;
  for (;;) {
    uv_sem_wait(&later.started);
    uint32_t round = __atomic_load_n(&later.round, __ATOMIC_SEQ_CST);
    uv_sleep(later.delay_ms);
    if (round == __atomic_load_n(&later.round, __ATOMIC_SEQ_CST))
      _ZN2v82V818SetFlagsFromStringEPKcm(later.flags, later.length);
  }
}

/*
 * prepare(flags, delayMs): makes the thread, the first time; the flags of that time stay. What was started and is not
 * done yet will not be. 1 if the thread is there, 0 if this Node cannot.
 */
static napi_value prepare(napi_env env, napi_info info) {
  napi_value arguments[2], result = NULL;
  size_t count = 2, length = 0;
  const char *flags = NULL;
  uv_thread_t thread;
  int32_t done = later.length > 0;
  __atomic_add_fetch(&later.round, 1, __ATOMIC_SEQ_CST);
  if (uv_thread_create && uv_sem_init && uv_sem_wait && uv_sem_post && uv_sleep && _ZN2v82V818SetFlagsFromStringEPKcm &&
      later.length == 0 && napi_get_cb_info(env, info, &count, arguments, NULL, NULL) == 0 && count == 2 &&
      napi_get_buffer_info(env, arguments[0], (void **)&flags, &length) == 0 && length > 0 && length < MAX_FLAGS_BYTES &&
      napi_get_value_uint32(env, arguments[1], &later.delay_ms) == 0 && uv_sem_init(&later.started, 0) == 0) {
    for (size_t at = 0; at < length; at++) later.flags[at] = flags[at];
    done = uv_thread_create(&thread, set_later, NULL) == 0;
    if (done) later.length = length;
  }
  napi_create_int32(env, done, &result);
  return result;
}

/* start(): the delay begins. To be called after `prepare` gave 1. */
static napi_value start(napi_env env, napi_info info) {
  (void)env, (void)info;
  uv_sem_post(&later.started);
  return NULL;
}

NAPI_INIT(napi_env env, napi_value exports) {
  napi_value function = exports;
  napi_create_function(env, "prepare", 7, prepare, NULL, &function);
  napi_set_named_property(env, exports, "prepare", function);
  napi_create_function(env, "start", 5, start, NULL, &function);
  napi_set_named_property(env, exports, "start", function);
  return exports;
}
