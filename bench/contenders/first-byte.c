/*
 * first-byte PORT COMMAND [ARGUMENT...]: starts a server and measures the time until it answers.
 *
 * From just before the process is started until the first byte of the answer to GET / on 127.0.0.1 has come; printed in
 * milliseconds. It tries to connect every millisecond until somebody listens: so a figure is up to a millisecond too
 * long, the same for all that are compared. Then it waits for its stdin: at the end of it it kills the process group;
 * a byte there says that the process is ending.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRY_NS 1000000

extern char **environ;

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void fail(const char *what)
{
	fprintf(stderr, "first-byte: %s: %s\n", what, strerror(errno));
	exit(1);
}

static pid_t start(char **command)
{
	posix_spawnattr_t attributes;
	posix_spawn_file_actions_t actions;
	pid_t pid;

	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", 0, 0);
	/* What it prints goes beside what is measured. */
	posix_spawn_file_actions_adddup2(&actions, 2, 1);
	errno = posix_spawnp(&pid, command[0], &actions, &attributes, command, environ);
	if (errno != 0)
		fail(command[0]);
	return pid;
}

static int connected(in_port_t port, pid_t pid)
{
	struct sockaddr_in there = { .sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timespec pause = { .tv_nsec = TRY_NS };

	for (;;) {
		int server = socket(AF_INET, SOCK_STREAM, 0);

		if (connect(server, (struct sockaddr *)&there, sizeof there) == 0)
			return server;
		close(server);
		if (waitpid(pid, NULL, WNOHANG) != 0) {
			errno = ECHILD;
			fail("the command has ended before it listened");
		}
		nanosleep(&pause, NULL);
	}
}

int main(int argc, char **argv)
{
	static const char request[] = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
	char answer[4096];
	char word;
	double started, answered;
	int server;
	pid_t pid;

	if (argc < 3)
		return 2;
	started = now_ms();
	pid = start(argv + 2);
	server = connected(htons((in_port_t)atoi(argv[1])), pid);
	if (write(server, request, strlen(request)) < 0 || read(server, answer, sizeof answer) < 12)
		fail("no answer");
	answered = now_ms();
	if (strncmp(answer, "HTTP/1.1 200", 12) != 0)
		fail("an answer other than 200");
	dprintf(3, "%.3f\n", answered - started);
	if (read(0, &word, 1) == 0)
		kill(-pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return 0;
}
