/* The streams of a wire: what is known of each, and how one comes and goes. */
#ifndef VMLET_STREAM_H
#define VMLET_STREAM_H
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

/* What the host has opened. Frames that are owed are sent as soon as there is room: one at a time of each kind. */
struct stream {
  uint32_t id; /* 0: free */
  int fd;
  bool connecting, readable, writable, hung; /* the latter three: edges; hung: its end is to be read */
  bool host_ended, shut;               /* END has come; it was passed on */
  bool guest_ended, deaf;              /* END was sent; no bytes are taken any more: what comes is dropped */
  bool owes_opened, owes_end;
  bool is_parked, owes_anew;           /* owes_anew: the host of a clone begins with stream 1, and is to know that it may */
  bool is_waiting;                     /* for a program that calls the host: see calls.h */
  int owes_refused, owes_reset; /* an errno */
  size_t attempt;               /* address that is being tried */
  uint16_t port;
  uint32_t credit, owed; /* bytes that may be sent to the host; that were taken and it was not told of */
  unsigned char *held;
  size_t start, end; /* what of `held` waits for the program */
};
static struct {
  int fd;
  uint16_t port;
} parked = {.fd = -1}; /* a connection that waits for the first stream to its port */
static struct stream streams[WIRE_STREAMS];
static size_t high; /* streams in use are all below */
static uint32_t last_id;
static int epoll_fd;

static struct stream *find(uint32_t id) {
  for (struct stream *stream = streams; stream < streams + high; stream++)
    if (stream->id == id) return stream;
  return NULL;
}

/* Out of the epoll set by name: a session that was just forked may still hold it. */
static void close_end(struct stream *stream) {
  if (stream->fd < 0) return;
  epoll_ctl(epoll_fd, EPOLL_CTL_DEL, stream->fd, NULL);
  close(stream->fd);
  stream->fd = -1;
}

static void forget(struct stream *stream) {
  close_end(stream);
  free(stream->held);
  *stream = (struct stream){.fd = -1};
  while (high > 0 && streams[high - 1].id == 0) high--;
}

static bool watch_end(struct stream *stream) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = stream};
  return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, stream->fd, &event) == 0;
}

/* Keeps the connection of a stream, which is over, for another that comes in another life of this machine. */
static void park(struct stream *stream) {
  epoll_ctl(epoll_fd, EPOLL_CTL_DEL, stream->fd, NULL);
  if (parked.fd >= 0) close(parked.fd);
  parked.fd = stream->fd;
  parked.port = stream->port;
  stream->fd = -1;
  stream->owes_anew = true;
}

/* Gives a stream the connection that was kept for it. False if there is none, or its program has closed it. */
static bool unpark(struct stream *stream) {
  char byte;
  if (parked.fd < 0 || parked.port != stream->port) return false;
  stream->fd = parked.fd;
  parked.fd = -1;
  if (recv(stream->fd, &byte, 1, MSG_PEEK) >= 0 || errno != EAGAIN || !watch_end(stream)) {
    close_end(stream);
    return false;
  }
  stream->writable = stream->owes_opened = true;
  return true;
}

#endif
