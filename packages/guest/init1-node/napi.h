/*
 * The part of Node's node_api.h that the addons here use, which no Debian package of the build has. It is stable since
 * Node 8.
 */
#ifndef VMLET_NAPI_H
#define VMLET_NAPI_H

#include <stddef.h>
#include <stdint.h>

typedef struct napi_env_ *napi_env;
typedef struct napi_value_ *napi_value;
typedef struct napi_info_ *napi_info;
typedef napi_value (*napi_callback)(napi_env env, napi_info info);
extern int napi_create_function(napi_env, const char *, size_t, napi_callback, void *, napi_value *);
extern int napi_create_int32(napi_env, int32_t, napi_value *);
extern int napi_get_buffer_info(napi_env, napi_value, void **, size_t *);
extern int napi_get_cb_info(napi_env, napi_info, size_t *, napi_value *, napi_value *, void **);
extern int napi_get_value_uint32(napi_env, napi_value, uint32_t *);
extern int napi_set_named_property(napi_env, napi_value, const char *, napi_value);

#define NAPI_INIT __attribute__((visibility("default"))) napi_value napi_register_module_v1

#endif
