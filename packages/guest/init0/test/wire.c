/*
 * The wire by itself. Without arguments it serves the wire on descriptor 3. With "frames" it runs byte streams through
 * wire.h: records of a 4-byte big-endian length and a stream come on stdin; for each goes one line to stdout: for each
 * good frame "<type> <argument> <stream> <bytes of payload>;", then the code of the breach, "-" for none. Each stream
 * lies in a heap block of its own size, so that a sanitizer sees any step beyond it.
 */
#include "../wire.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void read_stream(const unsigned char *stream, size_t size) {
  struct wire_frame frame;
  enum wire_breach breach;
  size_t at = 0, length;
  while ((length = wire_read(stream + at, size - at, &frame, &breach)) > 0) {
    printf("%d %d %u %zu;", frame.type, frame.argument, frame.stream, frame.length);
    at += length;
  }
  puts(breach != WIRE_GOOD ? wire_breaches[breach] : at < size ? "WIRE_TRUNCATED" : "-");
}

int main(int argc, char **argv) {
  uint32_t head;
  if (argc < 2 || strcmp(argv[1], "frames") != 0) wire_serve(3);
  while (fread(&head, 1, sizeof head, stdin) == sizeof head) {
    size_t size = ntohl(head);
    unsigned char *stream = malloc(size > 0 ? size : 1);
    if (!stream || fread(stream, 1, size, stdin) != size) return 1;
    read_stream(stream, size);
    free(stream);
  }
  return 0;
}
