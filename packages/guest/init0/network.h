/* The addresses of a machine. */
#ifndef VMLET_NETWORK_H
#define VMLET_NETWORK_H
#include <arpa/inet.h>
#include <net/if.h>
#include <net/route.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "failure.h"

struct network {
  const char *address, *gateway;
  int64_t prefix;
};

/* Sets an address of an interface, or with "" takes it up. */
static bool set_link(int fd, const char *name, unsigned long request, const char *address) {
  struct ifreq link = {0};
  struct sockaddr_in inet = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(address)};
  snprintf(link.ifr_name, sizeof link.ifr_name, "%s", name);
  bool ok = *address || ioctl(fd, SIOCGIFFLAGS, &link) == 0;
  if (*address) memcpy(&link.ifr_addr, &inet, sizeof inet);
  else link.ifr_flags |= IFF_UP;
  if (ok && ioctl(fd, request, &link) == 0) return true;
  return fail(errno, "NETWORK_FAILED", "Cannot set \"%s\" to \"%s\"", name, *address ? address : "up");
}

/* Takes the loopback up and, where there is a card, gives it what the host has told. */
static bool apply_network(const struct network *network) {
  struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
  struct sockaddr_in any = {.sin_family = AF_INET}, gateway = any;
  struct in_addr mask = {.s_addr = network && network->prefix > 0 ? htonl(~UINT32_C(0) << (32 - network->prefix)) : 0};
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(errno, "NETWORK_FAILED", "Cannot open a socket");
  bool ok = set_link(fd, "lo", SIOCSIFFLAGS, "");
  if (ok && network) {
    gateway.sin_addr.s_addr = inet_addr(network->gateway);
    memcpy(&route.rt_gateway, &gateway, sizeof gateway);
    memcpy(&route.rt_dst, &any, sizeof any);
    memcpy(&route.rt_genmask, &any, sizeof any);
    ok = set_link(fd, "eth0", SIOCSIFADDR, network->address) && set_link(fd, "eth0", SIOCSIFNETMASK, inet_ntoa(mask)) &&
         set_link(fd, "eth0", SIOCSIFFLAGS, "") && (ioctl(fd, SIOCADDRT, &route) == 0 ||
         fail(errno, "NETWORK_FAILED", "Cannot route through \"%s\"", network->gateway));
  }
  close(fd);
  return ok;
}

#endif
