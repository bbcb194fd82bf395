/*
 * Calls of programs to their host. A guest opens no stream: the host opens some ahead, and each waits here until a
 * program connects to one of the doors, a Unix socket and a port of the loopback. While none waits, programs stand in
 * the kernel's line, which a snapshot keeps: in a clone they are let in as soon as its own host has opened a stream.
 */
#ifndef VMLET_CALLS_H
#define VMLET_CALLS_H
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "stream.h"

enum { DOORS = 3, DOOR_LINE = 128 };
static struct door {
  int fd;
  bool ready; /* somebody may stand there: an edge */
} doors[DOORS];
static size_t door_count;

static int open_door(int family, const void *address, socklen_t size) {
  const int on = 1;
  struct door *door = &doors[door_count];
  struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = door};
  int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  if (family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (family != AF_UNIX) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, address, size) != 0 || listen(fd, DOOR_LINE) != 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
    int error = errno;
    close(fd);
    return error;
  }
  *door = (struct door){.fd = fd};
  door_count++;
  return 0;
}

/*
 * Opens the doors that the first call names: two bytes of port, and the path of a Unix socket. One that a program has
 * taken for itself, or a kernel without IPv6, leaves the others. An errno if there is none at all.
 */
static int open_doors(const unsigned char *payload, size_t n) {
  struct sockaddr_un local = {.sun_family = AF_UNIX};
  if (door_count > 0) return 0;
  if (n < 3 || n - 2 >= sizeof local.sun_path || memchr(payload + 2, '\0', n - 2)) return EINVAL;
  const uint16_t port = htons((uint16_t)(payload[0] << 8 | payload[1]));
  const struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = port, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = port, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  memcpy(local.sun_path, payload + 2, n - 2);
  unlink(local.sun_path); /* what an image or a program has left there */
  int error = open_door(AF_UNIX, &local, sizeof local);
  if (error == 0) chmod(local.sun_path, 0666); /* a program may run as any user of its machine */
  int v4_error = open_door(AF_INET, &v4, sizeof v4);
  open_door(AF_INET6, &v6, sizeof v6);
  if (error == 0) error = v4_error;
  return door_count > 0 ? 0 : error;
}

/* Notes that somebody has come to a door. False if it is none. */
static bool knock(const void *which) {
  for (struct door *door = doors; door < doors + door_count; door++)
    if (door == which) return door->ready = true;
  return false;
}

/* Gives a waiting stream the program that has stood at a door the longest. False if there is none. */
static bool take_call(struct stream *stream) {
  static size_t last;
  const int on = 1;
  for (size_t tries = 0; tries < door_count; tries++) {
    struct door *door = &doors[last = (last + 1) % door_count];
    if (!door->ready) continue;
    stream->fd = accept4(door->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (stream->fd < 0 && errno == EAGAIN) door->ready = false;
    if (stream->fd < 0) continue; /* too many descriptors: tried again with the next event */
    setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* a Unix socket has none, and needs none */
    if (!watch_end(stream)) {
      close_end(stream);
      continue;
    }
    stream->is_waiting = false;
    return stream->owes_opened = true;
  }
  return false;
}

#endif
