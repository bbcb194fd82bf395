/* Records: JSON of bounded length from texts that may hold anything. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "survey.h"

enum { RECORD_BYTES = 65536, MAX_OUTPUT_BYTES = 8 * 1024 * 1024 };
static char line[RECORD_BYTES];
static size_t used;
static long long written, records;

static void add(const char *bytes, size_t n) {
  if (n > sizeof line - used) _exit(70); /* a record of more texts than any has */
  memcpy(line + used, bytes, n);
  used += n;
}

static void add_string(const char *text) { add(text, strlen(text)); }

/* Bytes of the UTF-8 sequence at `text`, or 0 if there is none. */
static size_t sequence(const unsigned char *text) {
  size_t n = text[0] < 0x80 ? 1 : (text[0] & 0xe0) == 0xc0 ? 2 : (text[0] & 0xf0) == 0xe0 ? 3 : (text[0] & 0xf8) == 0xf0 ? 4 : 0;
  for (size_t i = 1; i < n; i++)
    if ((text[i] & 0xc0) != 0x80) return 0;
  if (n == 2 && text[0] < 0xc2) return 0;
  if (n == 3 && ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f))) return 0;
  if (n == 4 && ((text[0] == 0xf0 && text[1] < 0x90) || text[0] > 0xf4 || (text[0] == 0xf4 && text[1] > 0x8f))) return 0;
  return n;
}

static void add_quoted(const char *text) {
  const unsigned char *at = (const unsigned char *)text;
  add_string("\"");
  while (*at && at - (const unsigned char *)text < TEXT_BYTES) {
    char escape[8];
    size_t n = sequence(at);
    if (n == 0) add_string("\\ufffd");
    else if (*at == '"' || *at == '\\') snprintf(escape, sizeof escape, "\\%c", *at), add_string(escape);
    else if (*at < 0x20 || *at == 0x7f) snprintf(escape, sizeof escape, "\\u%04x", *at), add_string(escape);
    else add((const char *)at, n);
    at += n ? n : 1;
  }
  add_string("\"");
}

static void put_name(const char *name) {
  add_string(",\"");
  add_string(name);
  add_string("\":");
}

void record(const char *kind) {
  used = 0;
  add_string("{\"kind\":");
  add_quoted(kind);
}

void put_text(const char *name, const char *text) {
  put_name(name);
  add_quoted(text);
}

void put_number(const char *name, int64_t value) {
  char digits[24];
  put_name(name);
  snprintf(digits, sizeof digits, "%" PRId64, value);
  add_string(digits);
}

void put_bool(const char *name, bool value) {
  put_name(name);
  add_string(value ? "true" : "false");
}

void record_end(void) {
  add_string("}\n");
  if ((written += (long long)used) > MAX_OUTPUT_BYTES) _exit(75);
  records++;
  for (size_t sent = 0; sent < used;) {
    ssize_t n = write(STDOUT_FILENO, line + sent, used - sent);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) _exit(74); /* nobody listens */
    sent += (size_t)n;
  }
}

long long records_written(void) { return records; }
