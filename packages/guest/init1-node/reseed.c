/*
 * reseed.node: adds entropy to the OpenSSL that a process of Node.js runs with, which no function of Node's can. What
 * `crypto` draws is OpenSSL's, and OpenSSL does not notice that its memory was cloned. Like replace.c it needs no libc and
 * nothing but Node's stable C interface, and RAND_add where the program that loads it has that.
 */
#include <stddef.h>
#include <stdint.h>

#include "napi.h"

/* OpenSSL's: Node exports it, or the library that a distribution's Node is linked with. NULL where neither does. */
extern void RAND_add(const void *bytes, int count, double entropy_bytes) __attribute__((weak));

/* reseed(entropy): 1 if OpenSSL has it, 0 if not. All generators of the process are seeded anew before they are next used. */
static napi_value reseed(napi_env env, napi_info info) {
  napi_value argument, result = NULL;
  size_t count = 1, length = 0;
  void *bytes = NULL;
  int32_t done = 0;
  if (RAND_add && napi_get_cb_info(env, info, &count, &argument, NULL, NULL) == 0 && count == 1 &&
      napi_get_buffer_info(env, argument, &bytes, &length) == 0 && length > 0) {
    RAND_add(bytes, (int)length, (double)length);
    done = 1;
  }
  napi_create_int32(env, done, &result);
  return result;
}

NAPI_INIT(napi_env env, napi_value exports) {
  napi_value function = exports;
  napi_create_function(env, "reseed", 6, reseed, NULL, &function);
  return function;
}
