/*
 * The smallest HTTP server that many kept connections can ask at once: what proxies are compared in front of must not
 * be what bounds them. It answers each read with one answer, so its clients must not pipeline.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 64

static const char answer[] = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello";

static void take(int epoll, int listener)
{
	int one = 1;
	int client = accept(listener, NULL, NULL);
	struct epoll_event watch = { .events = EPOLLIN, .data.fd = client };

	if (client < 0)
		return;
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	epoll_ctl(epoll, EPOLL_CTL_ADD, client, &watch);
}

static void give(int client)
{
	char request[16384];

	if (read(client, request, sizeof request) <= 0 || write(client, answer, strlen(answer)) < 0)
		close(client);
}

/* Prints its port, and serves until it is killed. */
int main(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof any;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int epoll = epoll_create1(0);
	struct epoll_event watch = { .events = EPOLLIN, .data.fd = listener };

	if (bind(listener, (struct sockaddr *)&any, sizeof any) != 0 || listen(listener, 1024) != 0 ||
	    getsockname(listener, (struct sockaddr *)&any, &length) != 0 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &watch) != 0)
		return 1;
	printf("%d\n", ntohs(any.sin_port));
	fflush(stdout);
	for (;;) {
		struct epoll_event ready[EVENTS];
		int count = epoll_wait(epoll, ready, EVENTS, -1);

		for (int at = 0; at < count; at++) {
			if (ready[at].data.fd == listener)
				take(epoll, listener);
			else
				give(ready[at].data.fd);
		}
	}
}
