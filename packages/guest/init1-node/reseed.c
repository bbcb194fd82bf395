/*
 * reseed.node: adds entropy to the OpenSSL that a process of Node.js runs with, which no function of Node's can. What
 * `crypto` draws is OpenSSL's, and OpenSSL does not notice that its memory was cloned. Like replace.c it needs no libc and
 * nothing but Node's stable C interface, and RAND_add where the program that loads it has that.
 */
#include <stddef.h>
#include <stdint.h>

/* Of Node's node_api.h, which no Debian package of the build has; stable since Node 8. */
typedef struct napi_env_ *napi_env;
typedef struct napi_value_ *napi_value;
typedef struct napi_info_ *napi_info;
typedef napi_value (*napi_callback)(napi_env env, napi_info info);
extern int napi_create_function(napi_env, const char *, size_t, napi_callback, void *, napi_value *);
extern int napi_get_cb_info(napi_env, napi_info, size_t *, napi_value *, napi_value *, void **);
extern int napi_get_buffer_info(napi_env, napi_value, void **, size_t *);
extern int napi_create_int32(napi_env, int32_t, napi_value *);

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

__attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  napi_value function = exports;
  napi_create_function(env, "reseed", 6, reseed, NULL, &function);
  return function;
}
