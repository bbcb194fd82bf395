/*
 * pass.node: what Node.js has no call for, a Unix socket pair and a message of file descriptors on it. It is loaded into
 * the node itself, and uses Node's stable C interface only.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of Node's node_api.h, which no Debian package of the build has; stable since Node 8. */
typedef struct napi_env_ *napi_env;
typedef struct napi_value_ *napi_value;
typedef struct napi_info_ *napi_info;
typedef napi_value (*napi_callback)(napi_env env, napi_info info);
extern int napi_create_function(napi_env, const char *, size_t, napi_callback, void *, napi_value *);
extern int napi_create_int32(napi_env, int32_t, napi_value *);
extern int napi_get_cb_info(napi_env, napi_info, size_t *, napi_value *, napi_value *, void **);
extern int napi_get_buffer_info(napi_env, napi_value, void **, size_t *);
extern int napi_set_named_property(napi_env, napi_value, const char *, napi_value);

enum { MAX_FDS = 32 };

/* The one argument, an array of 32-bit integers; their number, or -1. */
static int numbers(napi_env env, napi_info info, int32_t **into) {
	napi_value argument;
	size_t count = 1, bytes = 0;

	if (napi_get_cb_info(env, info, &count, &argument, NULL, NULL) != 0 || count != 1 ||
	    napi_get_buffer_info(env, argument, (void **)into, &bytes) != 0)
		return -1;
	return (int)(bytes / sizeof(int32_t));
}

static napi_value integer(napi_env env, int value) {
	napi_value result = NULL;

	napi_create_int32(env, value, &result);
	return result;
}

/* pair(two): puts the descriptors of a new socket pair there, which no child inherits unasked. An errno, or 0. */
static napi_value pair(napi_env env, napi_info info) {
	int32_t *two;
	int ends[2];

	if (numbers(env, info, &two) != 2)
		return integer(env, EINVAL);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return integer(env, errno);
	two[0] = ends[0];
	two[1] = ends[1];
	return integer(env, 0);
}

/* pass(all): sends over the first descriptor all the others. An errno, or 0. Nothing waits: one byte always fits. */
static napi_value pass(napi_env env, napi_info info) {
	char byte = 0, control[CMSG_SPACE(MAX_FDS * sizeof(int))] __attribute__((aligned(sizeof(size_t))));
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control };
	int32_t *all;
	int count = numbers(env, info, &all) - 1;

	if (count < 1 || count > MAX_FDS)
		return integer(env, EINVAL);
	memset(control, 0, sizeof control);
	message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(head), all + 1, count * sizeof(int));
	return integer(env, sendmsg(all[0], &message, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 ? 0 : errno);
}

__attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports) {
	napi_value function;

	if (napi_create_function(env, "pair", 4, pair, NULL, &function) == 0)
		napi_set_named_property(env, exports, "pair", function);
	if (napi_create_function(env, "pass", 4, pass, NULL, &function) == 0)
		napi_set_named_property(env, exports, "pass", function);
	return exports;
}
