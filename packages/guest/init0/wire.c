/*
 * The guest's end of the wire: a child of init0 that reads frames from a virtio-serial port and, for each stream that
 * the host opens, connects to a port of the loopback and copies both ways. One thread, one epoll loop, no timer, no
 * exec. A stream that its program or the host does not read holds a bounded number of bytes and delays no other.
 * docs/formats/wire.md has the protocol.
 */
#define _GNU_SOURCE
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "calls.h"
#include "session.h"
#include "stream.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
enum { EX_PROTOCOL = 76, OUT_BYTES = 2 * WIRE_FRAME_BYTES, LEAST_READ_BYTES = 4096 };
enum { PAGE_BYTES = 4096, READS = 8 }; /* what Linux gives of a port at once; how often it is asked in one round */

static int port_fd;
static bool port_readable, port_writable = true, has_host = true;
static unsigned char in[2 * WIRE_FRAME_BYTES], out[OUT_BYTES];
static size_t in_have, out_start, out_end;
static volatile sig_atomic_t draining;
static void drain(int number) { draining = number; }

/* The host is trusted, and one that breaks the protocol cannot be understood any more. */
static _Noreturn void give_up(const char *code) {
  dprintf(STDERR_FILENO, "wire: Cannot go on: %s\n", code);
  _exit(EX_PROTOCOL);
}

/* ---- to the host ---- */

static bool has_room(size_t n) { return sizeof out - out_end >= n; }

static bool put(enum wire_type type, int argument, const struct stream *stream) {
  if (!has_room(WIRE_HEADER_BYTES)) return false;
  wire_put_head(out + out_end, type, argument, stream->id, 0);
  out_end += WIRE_HEADER_BYTES;
  return true;
}

/*
 * A port without a host is readable all the time, so that is an edge; with one it is a level, which spares a read that
 * finds nothing for each request. Whether it takes more is asked only when it did not.
 */
static void watch_port(bool writable) {
  static uint32_t now;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  port_writable = writable;
  if (!has_host) event.events |= EPOLLET;
  if (!writable) event.events |= EPOLLOUT;
  if (event.events == now) return;
  if (epoll_ctl(epoll_fd, now ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, port_fd, &event) != 0) give_up(strerror(errno));
  now = event.events;
}

static void flush(void) {
  while (out_start < out_end && port_writable) {
    ssize_t n = write(port_fd, out + out_start, out_end - out_start);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) watch_port(false);
    else out_start += (size_t)n;
  }
  if (out_start == out_end) out_start = out_end = 0;
}

/* ---- streams ---- */

/* Breaks a stream off, and owes the host word of it. */
static void break_off(struct stream *stream, int error) {
  close_end(stream);
  stream->readable = stream->connecting = false;
  stream->owes_reset = error;
}

/* Begins to connect to the next address that a program may listen on. False if none is left, with errno. */
static bool try_next(struct stream *stream) {
  const struct sockaddr_in v4 = {AF_INET, htons(stream->port), {htonl(INADDR_LOOPBACK)}, {0}};
  const struct sockaddr_in6 v6 = {AF_INET6, htons(stream->port), 0, IN6ADDR_LOOPBACK_INIT, 0};
  const struct {
    const void *address;
    socklen_t size;
  } addresses[] = {{&v4, sizeof v4}, {&v6, sizeof v6}};
  const int on = 1;
  int error = ECONNREFUSED;
  for (; stream->attempt < COUNT(addresses); error = errno) {
    size_t attempt = stream->attempt++;
    close_end(stream);
    stream->fd = socket(attempt == 0 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    stream->readable = stream->writable = false;
    if (stream->fd < 0) continue;
    setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(stream->fd, addresses[attempt].address, addresses[attempt].size) != 0 && errno != EINPROGRESS) continue;
    if (watch_end(stream)) return stream->connecting = true;
  }
  errno = error;
  return false;
}

static void connected(struct stream *stream) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    if (!try_next(stream)) stream->owes_refused = error;
    return;
  }
  stream->connecting = false;
  if (stream->is_parked) park(stream);
  else stream->owes_opened = true;
}

/* Starts a session on a stream. An errno, or 0. */
static int begin_session(struct stream *stream, const struct wire_frame *frame) {
  int error = session_start(frame->argument, frame->payload, frame->length, &stream->fd);
  if (error != 0) return error;
  stream->owes_opened = true;
  return watch_end(stream) ? 0 : errno;
}

static void take_open(const struct wire_frame *frame) {
  struct stream *stream = find(0);
  if (!stream && high < COUNT(streams)) stream = &streams[high++];
  if (!stream || frame->stream % 2 == 0 || frame->stream <= last_id) give_up("an OPEN that is not in turn");
  last_id = frame->stream;
  *stream = (struct stream){.id = frame->stream, .fd = -1, .credit = WIRE_WINDOW_BYTES};
  if (frame->argument == WIRE_EXEC || frame->argument == WIRE_COPY) {
    stream->owes_refused = begin_session(stream, frame);
    return;
  }
  if (frame->argument == WIRE_CALL) {
    stream->owes_refused = open_doors(frame->payload, frame->length);
    stream->is_waiting = stream->owes_refused == 0;
    return;
  }
  if ((stream->owes_anew = frame->argument == WIRE_ANEW)) return;
  stream->is_parked = frame->argument == WIRE_PARK;
  if ((frame->argument != WIRE_TCP && !stream->is_parked) || frame->length != 2) {
    stream->owes_refused = EPROTONOSUPPORT;
    return;
  }
  stream->port = (uint16_t)(frame->payload[0] << 8 | frame->payload[1]);
  if (!stream->is_parked && unpark(stream)) return;
  if (!try_next(stream)) stream->owes_refused = errno;
}

/* Passes on what waits for the program, and what comes new. What it does not take yet is held. */
static void to_program(struct stream *stream, const unsigned char *bytes, size_t n) {
  if (stream->start < stream->end || !stream->writable || stream->connecting) {
    if (n > 0 && !stream->held && !(stream->held = malloc(WIRE_WINDOW_BYTES))) {
      break_off(stream, ENOMEM);
      return;
    }
    if (stream->start == stream->end) stream->start = stream->end = 0;
    if (n > WIRE_WINDOW_BYTES - stream->end) {
      memmove(stream->held, stream->held + stream->start, stream->end - stream->start);
      stream->end -= stream->start;
      stream->start = 0;
    }
    if (n > 0) memcpy(stream->held + stream->end, bytes, n);
    stream->end += n;
    bytes = stream->held + stream->start;
    n = stream->end - stream->start;
  }
  size_t sent = 0;
  while (sent < n && stream->writable && !stream->connecting && !stream->deaf) {
    ssize_t written = send(stream->fd, bytes + sent, n - sent, MSG_NOSIGNAL);
    if (written >= 0) sent += (size_t)written;
    else if (errno == EAGAIN) stream->writable = false;
    else if (errno != EINTR) stream->deaf = true; /* what it has said before can still be read */
  }
  if (stream->deaf) sent = n;
  stream->owed += (uint32_t)sent;
  if (stream->start < stream->end && bytes == stream->held + stream->start) stream->start += sent;
  else if (sent < n) to_program(stream, bytes + sent, n - sent);
}

static void take_data(struct stream *stream, const struct wire_frame *frame) {
  size_t waiting = stream->end - stream->start + stream->owed;
  if (stream->host_ended || frame->length > WIRE_WINDOW_BYTES - waiting) give_up("DATA beyond the window or the end");
  if (stream->fd >= 0) to_program(stream, frame->payload, frame->length);
}

static void take_frame(const struct wire_frame *frame) {
  if (frame->type == WIRE_OPEN) {
    take_open(frame);
    return;
  }
  struct stream *stream = find(frame->stream);
  if (!stream && (frame->stream % 2 == 0 || frame->stream > last_id)) give_up("a stream that was never opened");
  if (!stream) return; /* sent before the host knew of its end */
  switch (frame->type) {
    case WIRE_DATA:
      take_data(stream, frame);
      break;
    case WIRE_WINDOW:
      if (wire_number(frame->payload) > WIRE_WINDOW_BYTES - stream->credit) give_up("a WINDOW beyond its bound");
      stream->credit += wire_number(frame->payload);
      break;
    case WIRE_END:
      if (stream->host_ended) give_up("END twice");
      stream->host_ended = true;
      break;
    case WIRE_RESET:
      forget(stream);
      break;
    default:
      give_up("an answer that nobody asked for");
  }
}

/* Reads from the program into one frame. True if there may be more to read at once. */
static bool from_program(struct stream *stream) {
  size_t most = sizeof out - out_end - WIRE_HEADER_BYTES;
  if (most > WIRE_PAYLOAD_BYTES) most = WIRE_PAYLOAD_BYTES;
  if (most > stream->credit) most = stream->credit;
  ssize_t n = recv(stream->fd, out + out_end + WIRE_HEADER_BYTES, most, 0);
  if (n > 0) {
    wire_put_head(out + out_end, WIRE_DATA, 0, stream->id, (size_t)n);
    out_end += WIRE_HEADER_BYTES + (size_t)n;
    stream->credit -= (uint32_t)n;
    /* It has been read empty; what comes now, comes with an edge. */
    if ((size_t)n < most && !stream->hung) stream->readable = false;
    return stream->readable;
  }
  if (n < 0 && errno == EINTR) return true;
  stream->readable = false;
  if (n == 0) stream->owes_end = true;
  else if (errno != EAGAIN) break_off(stream, errno);
  return false;
}

static void put_credit(struct stream *stream) {
  if (stream->host_ended || stream->owed < WIRE_WINDOW_BYTES / 2) return;
  if (!has_room(WIRE_HEADER_BYTES + WIRE_CREDIT_BYTES)) return;
  out_end += wire_put_credit(out + out_end, stream->id, stream->owed);
  stream->owed = 0;
}

/* Does for a stream what can be done. True if there may be more to do without a new event. */
static bool advance(struct stream *stream) {
  bool more = false;
  if (stream->is_waiting && draining) stream->is_waiting = false, break_off(stream, ECANCELED);
  if (stream->is_waiting && !take_call(stream)) return false;
  if (stream->connecting && stream->writable) connected(stream);
  if (stream->fd >= 0 && !stream->connecting) {
    if (stream->start < stream->end && stream->writable) to_program(stream, NULL, 0);
    if (stream->host_ended && !stream->shut && stream->start == stream->end) {
      shutdown(stream->fd, SHUT_WR);
      stream->shut = true;
    }
  }
  if (stream->owes_refused || stream->owes_reset) {
    enum wire_type type = stream->owes_refused ? WIRE_REFUSED : WIRE_RESET;
    if (put(type, stream->owes_refused ? stream->owes_refused : stream->owes_reset, stream)) forget(stream);
    return false;
  }
  if (stream->owes_anew && put(WIRE_RESET, 0, stream)) {
    forget(stream);
    last_id = 0; /* the host of a clone begins anew */
    return false;
  }
  if (stream->owes_opened && put(WIRE_OPENED, 0, stream)) stream->owes_opened = false;
  if (stream->connecting || stream->owes_opened) return false;
  put_credit(stream);
  if (stream->readable && stream->credit > 0 && has_room(WIRE_HEADER_BYTES + LEAST_READ_BYTES)) more = from_program(stream);
  if (stream->owes_end && put(WIRE_END, 0, stream)) stream->owes_end = false, stream->guest_ended = true;
  if (stream->guest_ended && (stream->shut || draining)) forget(stream);
  return more || stream->owes_reset != 0;
}

/* ---- the loop ---- */

/* Whatever host was there is gone: one that comes begins with a whole frame and with no stream. */
static void start_anew(void) {
  while (high > 0) forget(&streams[high - 1]);
  last_id = 0;
  in_have = out_start = out_end = 0;
}

static void read_port(void) {
  enum wire_breach breach;
  struct wire_frame frame;
  size_t at = 0, length;
  ssize_t n = read(port_fd, in + in_have, sizeof in - in_have);
  port_readable = n >= PAGE_BYTES || (n < 0 && errno == EINTR);
  if (n == 0) start_anew();
  if (n <= 0) return;
  in_have += (size_t)n;
  while ((length = wire_read(in + at, in_have - at, &frame, &breach)) > 0) {
    take_frame(&frame);
    at += length;
  }
  if (breach != WIRE_GOOD) give_up(wire_breaches[breach]);
  if (at > 0) memmove(in, in + at, in_have - at);
  in_have -= at;
}

/* One round. Each stream gets its turn; which is first changes, so that room is shared. */
static bool step(void) {
  static size_t first;
  bool more = false;
  for (int i = 0; i < READS && port_readable; i++) read_port();
  size_t n = high;
  if (n > 0) first = (first + 1) % n;
  for (size_t i = 0; i < n; i++) {
    struct stream *stream = &streams[(first + i) % n];
    if (stream->id != 0) more |= advance(stream);
  }
  bool had_room = has_room(WIRE_HEADER_BYTES + LEAST_READ_BYTES);
  flush();
  /* What found no room finds it now, where the port took all. */
  return port_readable || (out_end == 0 && (more || !had_room));
}

static void mark(const struct epoll_event *event) {
  bool in_edge = event->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
  bool out_edge = event->events & (EPOLLOUT | EPOLLHUP | EPOLLERR);
  struct stream *stream = event->data.ptr;
  if (stream && knock(event->data.ptr)) return;
  if (stream) {
    stream->readable |= in_edge;
    stream->writable |= out_edge;
    stream->hung |= (event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    return;
  }
  has_host = (event->events & EPOLLHUP) == 0;
  port_readable |= in_edge;
  watch_port(port_writable || out_edge);
}

/* The machine is of no use without this process: it is the last that a machine without memory gives up. */
static void prepare(void) {
  struct sigaction action = {.sa_handler = drain};
  sigset_t term;
  prctl(PR_SET_DUMPABLE, 0);
  prctl(PR_SET_NAME, "wire");
  set_oom_score("-1000");
  signal(SIGCHLD, SIG_IGN); /* sessions are reaped by the kernel */
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  sigprocmask(SIG_BLOCK, &term, NULL); /* but for the wait, which it ends */
  sigaction(SIGTERM, &action, NULL);
}

_Noreturn void wire_serve(int port) {
  struct epoll_event events[32];
  sigset_t while_waiting;
  prepare();
  sigprocmask(SIG_BLOCK, NULL, &while_waiting);
  sigdelset(&while_waiting, SIGTERM);
  port_fd = port;
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0 || fcntl(port, F_SETFL, fcntl(port, F_GETFL) | O_NONBLOCK) != 0) give_up(strerror(errno));
  watch_port(true);
  for (bool more = true; !draining || high > 0 || out_end > 0; more = step()) {
    int n = epoll_pwait(epoll_fd, events, COUNT(events), more ? 0 : -1, &while_waiting);
    for (int i = 0; i < n; i++) mark(&events[i]);
  }
  _exit(0);
}
