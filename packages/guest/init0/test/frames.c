/*
 * Runs byte streams through frames.h: records of a 4-byte big-endian length and a stream come on stdin; for each goes
 * one line to stdout: "<good frames> <code of the breach> <v of the last frame in hexadecimal>", "-" for none. Each
 * stream lies in a heap block of its own size, so that a sanitizer sees any step beyond it.
 */
#include "../frames.h"

static char *v;
static const struct field fields[] = {{"", "v", TEXT, &v, 4096, NULL, ""}};
static struct frame_reader reader = {.fields = fields, .count = 1};

int main(void) {
  uint32_t head;
  while (fread(&head, 1, sizeof head, stdin) == sizeof head) {
    size_t size = ntohl(head), at = 0, length = 0;
    int frames = 0;
    enum breach breach;
    char *stream = malloc(size + 1);
    if (!stream || fread(stream, 1, size, stdin) != size) return 1;
    do {
      length = read_frame(&reader, stream + at, size - at, &breach);
      at += length;
      frames += length > 0;
    } while (length > 0 && at < size);
    printf("%d %s ", frames, breach ? breaches[breach][0] : at < size ? "FRAME_TRUNCATED" : "-");
    for (const char *c = v; c && *c; c++) printf("%02x", (unsigned char)*c);
    printf("%s\n", v ? "" : "-");
    free(stream);
  }
  return 0;
}
