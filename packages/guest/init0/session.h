/*
 * Sessions: what the owner does inside a machine, a command or a copy, each in a process of its own at the end of a
 * stream of the wire. Here are the records that such a stream carries; docs/formats/wire.md has them byte by byte.
 */
#ifndef VMLET_SESSION_H
#define VMLET_SESSION_H
#include <stdbool.h>
#include <stddef.h>

enum { RECORD_HEADER_BYTES = 4, RECORD_BYTES = 32768 };

/* Of a command: to it, and from it. */
enum { TO_STDIN = 1, TO_RESIZE, TO_SIGNAL };
enum { FROM_STDOUT = 1, FROM_STDERR, FROM_EXIT };
/* Of a copy, both ways. */
enum { COPY_FOLDER = 1, COPY_FILE, COPY_LINK, COPY_DATA, COPY_DONE, COPY_FAILED };

/*
 * Starts a session of that kind of stream (WIRE_EXEC, WIRE_COPY) in a child. Gives its socket, or an errno for a request
 * that cannot be served.
 */
int session_start(int kind, const unsigned char *request, size_t n, int *fd);

/* How early the kernel ends this process when memory is short: "-1000" is never. */
void set_oom_score(const char *score);

/* Sends one record; false if the other side has left. Blocks while it does not read. */
bool record_send(int fd, int type, const void *bytes, size_t n);

/* What is wrong with the payload of an OPEN of that kind: an errno, 0 for nothing. */
int exec_check(const unsigned char *request, size_t n);
int copy_check(const unsigned char *request, size_t n);

/* Run in a process of their own, which has the stream on `fd` and the request in memory, with a NUL behind it. */
_Noreturn void exec_run(int fd, const unsigned char *request, size_t n);
_Noreturn void copy_run(int fd, const unsigned char *request, size_t n);

#endif
