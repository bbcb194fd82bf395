/*
 * An HTTP server in one static executable: GET /mandelbrot.bmp draws a picture, row by row.
 *
 * One thread for each connection, HTTP/1.1 with keep-alive, no allocation that a client decides on. It listens on $PORT
 * and ends in order on SIGTERM.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_MAX_BYTES = 16 * 1024, SIDE_MAX = 2048, THREAD_STACK_BYTES = 256 * 1024 };

struct connection {
    int fd;
    /* What has been read and not used yet. */
    char buffer[HEAD_MAX_BYTES + 1];
    size_t length;
};

struct request {
    char *method;
    char *path;
    char *query;
    unsigned long long body_bytes;
    bool keep_alive;
};

static void fail(const char *what)
{
    fprintf(stderr, "Cannot %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- Writing ---- */

static bool write_all(int fd, const void *data, size_t length)
{
    const char *at = data;
    while (length > 0) {
        ssize_t written = write(fd, at, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false; /* The client has gone. */
        at += written;
        length -= (size_t)written;
    }
    return true;
}

static bool write_head(int fd, const struct request *request, const char *status, const char *type, size_t body_bytes)
{
    char head[512];
    int length = snprintf(head, sizeof head,
                          "HTTP/1.1 %s\r\ncontent-type: %s\r\ncontent-length: %zu\r\nconnection: %s\r\n\r\n", status,
                          type, body_bytes, request->keep_alive ? "keep-alive" : "close");
    return write_all(fd, head, (size_t)length);
}

static bool answer_text(int fd, const struct request *request, const char *status, const char *format, ...)
{
    char text[1024];
    va_list values;
    va_start(values, format);
    int length = vsnprintf(text, sizeof text, format, values);
    va_end(values);
    size_t bytes = (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
    if (!write_head(fd, request, status, "text/plain; charset=utf-8", bytes))
        return false;
    return strcmp(request->method, "HEAD") == 0 || write_all(fd, text, bytes);
}

/* ---- The picture ---- */

/* A number of the query, or what it is without one. A name is at most 30 characters long. */
static double number_of(const char *query, const char *name, double otherwise)
{
    char prefix[32];
    int length = snprintf(prefix, sizeof prefix, "%s=", name);
    for (const char *at = query; at != NULL; at = strchr(at, '&')) {
        at += *at == '&';
        if (strncmp(at, prefix, (size_t)length) != 0)
            continue;
        char *end;
        double value = strtod(at + length, &end);
        return end == at + length ? otherwise : value;
    }
    return otherwise;
}

/* How many steps a point takes to leave, at most `limit`. */
static int steps_of(double x, double y, int limit)
{
    double a = 0, b = 0;
    int steps = 0;
    while (steps < limit && a * a + b * b <= 4) {
        double next = a * a - b * b + x;
        b = 2 * a * b + y;
        a = next;
        steps++;
    }
    return steps;
}

static void put_u32(unsigned char *at, uint32_t value)
{
    for (int byte = 0; byte < 4; byte++)
        at[byte] = (unsigned char)(value >> (8 * byte));
}

static bool answer_picture(int fd, const struct request *request)
{
    double wanted_side = number_of(request->query, "side", 256), zoom = number_of(request->query, "zoom", 1);
    double middle_x = number_of(request->query, "x", -0.6), middle_y = number_of(request->query, "y", 0);
    /* Written so that what is no number is refused too. */
    if (!(wanted_side >= 1 && wanted_side <= SIDE_MAX) || !(zoom >= 1e-3 && zoom <= 1e12))
        return answer_text(fd, request, "400 Bad Request", "Expected side from 1 to %d and zoom from 0.001\n", SIDE_MAX);

    int side = (int)wanted_side;
    /* A bitmap's rows are multiples of four bytes long; a negative height says that the first is the top one. */
    size_t row_bytes = ((size_t)side * 3 + 3) / 4 * 4;
    unsigned char header[54] = {'B', 'M', [10] = 54, [14] = 40, [26] = 1, [28] = 24};
    put_u32(header + 2, (uint32_t)(sizeof header + row_bytes * (size_t)side));
    put_u32(header + 18, (uint32_t)side);
    put_u32(header + 22, (uint32_t)-side);
    if (!write_head(fd, request, "200 OK", "image/bmp", sizeof header + row_bytes * (size_t)side))
        return false;
    if (strcmp(request->method, "HEAD") == 0)
        return true;
    if (!write_all(fd, header, sizeof header))
        return false;
    unsigned char row[SIDE_MAX * 3 + 3] = {0};
    for (int line = 0; line < side; line++) {
        for (int column = 0; column < side; column++) {
            double x = middle_x + (column - side / 2) * 3.0 / side / zoom;
            double y = middle_y + (line - side / 2) * 3.0 / side / zoom;
            int steps = steps_of(x, y, 255);
            unsigned char *pixel = row + column * 3;
            pixel[0] = (unsigned char)(steps == 255 ? 0 : 80 + steps * 5 % 176);
            pixel[1] = (unsigned char)(steps == 255 ? 0 : steps * 7 % 256);
            pixel[2] = (unsigned char)(steps == 255 ? 0 : steps);
        }
        if (!write_all(fd, row, row_bytes))
            return false;
    }
    return true;
}

/* ---- Reading ---- */

/* Reads more into the buffer; false at the end of the connection, or with no room left. */
static bool read_more(struct connection *connection)
{
    for (;;) {
        ssize_t got = read(connection->fd, connection->buffer + connection->length, HEAD_MAX_BYTES - connection->length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        connection->length += (size_t)got;
        return true;
    }
}

static void drop(struct connection *connection, size_t bytes)
{
    connection->length -= bytes;
    memmove(connection->buffer, connection->buffer + bytes, connection->length);
}

static bool skip_body(struct connection *connection, unsigned long long bytes)
{
    while (bytes > 0) {
        if (connection->length == 0 && !read_more(connection))
            return false;
        size_t part = bytes < connection->length ? (size_t)bytes : connection->length;
        drop(connection, part);
        bytes -= part;
    }
    return true;
}

/* Splits a head, which ends in an empty line, into what matters here. False if it cannot be understood. */
static bool parse_head(char *head, struct request *request)
{
    char *rest = head;
    char *line = strsep(&rest, "\n");
    request->method = strsep(&line, " ");
    request->path = strsep(&line, " ");
    if (request->path == NULL || line == NULL || strncmp(line, "HTTP/1.", 7) != 0)
        return false;
    request->keep_alive = line[7] == '1';
    request->body_bytes = 0;
    request->query = request->path;
    strsep(&request->query, "?");
    while ((line = strsep(&rest, "\n")) != NULL) {
        line[strcspn(line, "\r")] = '\0';
        if (strncasecmp(line, "content-length:", 15) == 0)
            request->body_bytes = strtoull(line + 15, NULL, 10);
        else if (strncasecmp(line, "transfer-encoding:", 18) == 0)
            return false; /* No path here takes a body, so none of unknown length is waited for. */
        else if (strncasecmp(line, "connection:", 11) == 0 && strcasestr(line, "close") != NULL)
            request->keep_alive = false;
    }
    return true;
}

/* Answers one request; false when the connection is to end. */
static bool serve_request(struct connection *connection)
{
    char *end;
    connection->buffer[connection->length] = '\0';
    while ((end = strstr(connection->buffer, "\r\n\r\n")) == NULL) {
        if (!read_more(connection))
            return false;
        connection->buffer[connection->length] = '\0';
    }
    size_t head_bytes = (size_t)(end - connection->buffer) + 4;
    char head[HEAD_MAX_BYTES + 1];
    memcpy(head, connection->buffer, head_bytes);
    head[head_bytes] = '\0';
    drop(connection, head_bytes);

    struct request request = {.method = "GET"};
    if (!parse_head(head, &request)) {
        request.keep_alive = false;
        answer_text(connection->fd, &request, "400 Bad Request", "Cannot understand the request\n");
        return false;
    }
    if (!skip_body(connection, request.body_bytes))
        return false;
    bool is_read = strcmp(request.method, "GET") == 0 || strcmp(request.method, "HEAD") == 0;
    bool sent;
    if (!is_read)
        sent = answer_text(connection->fd, &request, "405 Method Not Allowed", "Expected GET\n");
    else if (strcmp(request.path, "/") == 0)
        sent = answer_text(connection->fd, &request, "200 OK", "Try /mandelbrot.bmp?side=512&x=-0.745&y=0.11&zoom=40\n");
    else if (strcmp(request.path, "/mandelbrot.bmp") == 0)
        sent = answer_picture(connection->fd, &request);
    else
        sent = answer_text(connection->fd, &request, "404 Not Found", "Nothing is at %.200s\n", request.path);
    return sent && request.keep_alive;
}

/* ---- Listening ---- */

static void *serve_connection(void *argument)
{
    struct connection *connection = argument;
    while (serve_request(connection))
        ;
    close(connection->fd);
    free(connection);
    return NULL;
}

static void end_in_order(int signal_number)
{
    (void)signal_number;
    _exit(0);
}

static int listen_on(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("make a socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_ANY)};
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        fail("bind the port");
    if (listen(fd, SOMAXCONN) < 0)
        fail("listen");
    return fd;
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* A client that goes is seen by write(). */
    signal(SIGTERM, end_in_order);
    const char *port = getenv("PORT");
    int listener = listen_on((uint16_t)atoi(port ? port : "8080"));
    printf("listening on %s\n", port ? port : "8080");
    fflush(stdout);

    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0)
            fail("accept a connection");
        struct connection *connection = calloc(1, sizeof *connection);
        if (connection == NULL)
            fail("keep a connection");
        connection->fd = fd;
        pthread_t thread;
        errno = pthread_create(&thread, &attributes, serve_connection, connection);
        if (errno != 0)
            fail("start a thread");
    }
}
