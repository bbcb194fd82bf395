/*
 * The wire: streams between host and guest over one virtio-serial port. Here is the format of its frames, byte by byte
 * as in docs/formats/wire.md; vectors/wire.json of guest-protocol is its test, which TypeScript runs as well.
 */
#ifndef VMLET_WIRE_H
#define VMLET_WIRE_H
#include <stdint.h>
#include <stddef.h>

#define WIRE_PORT_NAME "vmlet.wire"

enum { WIRE_HEADER_BYTES = 8, WIRE_PAYLOAD_BYTES = 32760, WIRE_FRAME_BYTES = WIRE_HEADER_BYTES + WIRE_PAYLOAD_BYTES };
enum { WIRE_WINDOW_BYTES = 131072, WIRE_STREAMS = 512, WIRE_CREDIT_BYTES = 4 };

enum wire_type { WIRE_OPEN = 1, WIRE_OPENED, WIRE_REFUSED, WIRE_DATA, WIRE_WINDOW, WIRE_END, WIRE_RESET };
enum wire_kind { WIRE_TCP = 1, WIRE_EXEC, WIRE_COPY, WIRE_PARK, WIRE_CALL, WIRE_ANEW };

enum wire_breach { WIRE_GOOD, WIRE_BAD_TYPE, WIRE_BAD_LENGTH, WIRE_BAD_ARGUMENT, WIRE_BAD_STREAM, WIRE_BAD_CREDIT };
static const char *const wire_breaches[] = {"", "WIRE_TYPE", "WIRE_LENGTH", "WIRE_ARGUMENT", "WIRE_STREAM", "WIRE_CREDIT"};

struct wire_frame {
  enum wire_type type;
  int argument;
  uint32_t stream;
  size_t length;
  const unsigned char *payload;
};

static inline uint32_t wire_number(const unsigned char *bytes) {
  return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static inline void wire_put_head(unsigned char *to, enum wire_type type, int argument, uint32_t stream, size_t length) {
  const unsigned char head[WIRE_HEADER_BYTES] = {
      (unsigned char)type,           (unsigned char)argument,       (unsigned char)(length >> 8), (unsigned char)length,
      (unsigned char)(stream >> 24), (unsigned char)(stream >> 16), (unsigned char)(stream >> 8), (unsigned char)stream,
  };
  for (size_t i = 0; i < sizeof head; i++) to[i] = head[i];
}

/* Writes a WINDOW frame. Returns its length. */
static inline size_t wire_put_credit(unsigned char *to, uint32_t stream, uint32_t bytes) {
  wire_put_head(to, WIRE_WINDOW, 0, stream, WIRE_CREDIT_BYTES);
  for (int i = 0; i < WIRE_CREDIT_BYTES; i++) to[WIRE_HEADER_BYTES + i] = (unsigned char)(bytes >> (24 - 8 * i));
  return WIRE_HEADER_BYTES + WIRE_CREDIT_BYTES;
}

/* The checks of a header, in the order that the format fixes. */
static inline enum wire_breach wire_check(const unsigned char *head) {
  static const struct {
    uint16_t least, most;
    unsigned char least_argument, most_argument;
  } shapes[] = {
      [WIRE_OPEN] = {0, WIRE_PAYLOAD_BYTES, 1, 255},   [WIRE_OPENED] = {0, 0, 0, 0}, [WIRE_REFUSED] = {0, 0, 1, 255},
      [WIRE_DATA] = {1, WIRE_PAYLOAD_BYTES, 0, 0},     [WIRE_END] = {0, 0, 0, 0},    [WIRE_RESET] = {0, 0, 0, 255},
      [WIRE_WINDOW] = {WIRE_CREDIT_BYTES, WIRE_CREDIT_BYTES, 0, 0},
  };
  unsigned type = head[0], argument = head[1], length = (unsigned)head[2] << 8 | head[3];
  if (type < WIRE_OPEN || type > WIRE_RESET) return WIRE_BAD_TYPE;
  if (length < shapes[type].least || length > shapes[type].most) return WIRE_BAD_LENGTH;
  if (argument < shapes[type].least_argument || argument > shapes[type].most_argument) return WIRE_BAD_ARGUMENT;
  return wire_number(head + 4) == 0 ? WIRE_BAD_STREAM : WIRE_GOOD;
}

/* Reads the first frame of `data`. Returns its length; 0 when there is a breach or more bytes are needed. */
static inline size_t wire_read(const unsigned char *data, size_t n, struct wire_frame *frame, enum wire_breach *breach) {
  *breach = WIRE_GOOD;
  if (n < WIRE_HEADER_BYTES || (*breach = wire_check(data)) != WIRE_GOOD) return 0;
  size_t length = (size_t)data[2] << 8 | data[3];
  if (n - WIRE_HEADER_BYTES < length) return 0;
  *frame = (struct wire_frame){data[0], data[1], wire_number(data + 4), length, data + WIRE_HEADER_BYTES};
  if (frame->type != WIRE_WINDOW) return WIRE_HEADER_BYTES + length;
  uint32_t credit = wire_number(frame->payload);
  if (credit >= 1 && credit <= WIRE_WINDOW_BYTES) return WIRE_HEADER_BYTES + length;
  *breach = WIRE_BAD_CREDIT;
  return 0;
}

/* Serves the wire on an open port until SIGTERM has come and no stream is left, or the host breaks the format. */
_Noreturn void wire_serve(int port);

#endif
