/*
 * The program that tests/faults/steps.test.ts kills. It answers GET / with "ok"; what else it does, its path or the
 * variable DIE says. One process, one thread: what kills it kills all of it.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 64 };

static const char *when(void)
{
    const char *value = getenv("DIE");
    return value ? value : "";
}

/* As kill -9 from elsewhere: nothing of the program runs any more. */
static void die(pid_t pid)
{
    kill(pid, SIGKILL);
    pause();
}

static void die_if(const char *step)
{
    if (strcmp(when(), step) == 0)
        die(getpid());
}

static void on_term(int number)
{
    (void)number;
    die_if("halt");
    _exit(0);
}

static void send_text(int fd, const char *text)
{
    if (write(fd, text, strlen(text)) < 0)
        close(fd);
}

/* Reads one small request and answers it, or leaves it waiting. False when the client has closed. */
static int serve(int fd)
{
    char head[4096];
    ssize_t length = read(fd, head, sizeof head - 1);
    if (length <= 0)
        return 0;
    head[length] = '\0';
    char *path = strchr(head, ' ');
    if (path == NULL)
        return 0;
    path++;
    path[strcspn(path, " ")] = '\0';
    /* Counted by the test: a request is never sent twice. */
    printf("got %s\n", path);
    fflush(stdout);
    if (strncmp(path, "/hold", 5) == 0)
        return 1;
    if (strncmp(path, "/die", 4) == 0)
        die(getpid());
    if (strncmp(path, "/launcher", 9) == 0)
        die(getppid());
    if (strncmp(path, "/part", 5) == 0)
        send_text(fd, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\na part of a hundred");
    else
        send_text(fd, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    return 1;
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, on_term);
    die_if("start");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((in_port_t)atoi(getenv("PORT")))};
    struct pollfd watched[1 + MAX_CONNECTIONS] = {{.fd = socket(AF_INET, SOCK_STREAM, 0), .events = POLLIN}};
    nfds_t count = 1;
    if (bind(watched[0].fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(watched[0].fd, 64) < 0)
        return 1;
    die_if("listen");
    for (;;) {
        poll(watched, count, -1);
        for (nfds_t index = 1; index < count; index++) {
            if (watched[index].revents == 0 || serve(watched[index].fd))
                continue;
            close(watched[index].fd);
            watched[index--] = watched[--count];
        }
        if (watched[0].revents != 0 && count <= MAX_CONNECTIONS)
            watched[count++] = (struct pollfd){.fd = accept(watched[0].fd, NULL, NULL), .events = POLLIN};
    }
}
