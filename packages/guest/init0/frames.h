/*
 * The frame format in C: four bytes of length, then one JSON object in UTF-8. docs/formats/frames.md is the format, and
 * vectors/frames.json of guest-protocol its test: TypeScript, Python and this give the same answer to each. No heap;
 * the parser is strict and works on text that ends with a NUL, so that no step of it looks for the end.
 */
#ifndef VMLET_FRAMES_H
#define VMLET_FRAMES_H
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEADER_BYTES = 4, MAX_FRAME_BYTES = 1048576, FRAME_ROOM = HEADER_BYTES + MAX_FRAME_BYTES, MAX_DEPTH = 16 };
#define JSON_SPACE " \t\r\n"

/*
 * What of a message a program wants to know: `path` ("type", "clock.sec", "argv[]") and where its value goes. FLAG is
 * a bool, whether an object is there; INTEGER an int64_t from 0 to `most`, -1 for none; TEXT a char *, NULL for none,
 * of 1 to `most` bytes; LIST an array of `most` + 1 char * that ends with NULL. The path "env{}" makes a LIST of
 * NAME=value from an object. Texts hold no NUL and last until the next frame. Of two equal names the last counts.
 */
struct field {
  const char *type, *path; /* type of the messages that must have it, "" for none */
  enum { FLAG, INTEGER, TEXT, LIST } kind;
  void *to;
  int64_t most;
  const bool *only_if; /* false frees from the must */
  const char *expected;
};

struct frame_reader {
  const struct field *fields;
  size_t count;
  const char *excess; /* path of a list with an item too many, or an item that is no text */
  size_t arena_used;
  bool has_type;
  char arena[MAX_FRAME_BYTES + 1]; /* unescaped, with a NUL, texts are not longer than in the frame with its quotes */
};

enum breach { NO_BREACH, EMPTY, TOO_LONG, NOT_UTF8, TOO_DEEP, NOT_JSON, NOT_OBJECT, NO_TYPE };
static const char *const breaches[][2] = {
    [NO_BREACH] = {"", ""},
    [EMPTY] = {"FRAME_EMPTY", "length 0, expected 1 to 1048576 bytes"},
    [TOO_LONG] = {"FRAME_TOO_LONG", "length above the limit, expected 1 to 1048576 bytes"},
    [NOT_UTF8] = {"FRAME_NOT_UTF8", "ill-formed bytes, expected UTF-8"},
    [TOO_DEEP] = {"FRAME_TOO_DEEP", "deeper nesting, expected at most 16 levels"},
    [NOT_JSON] = {"FRAME_NOT_JSON", "text that does not parse, expected JSON"},
    [NOT_OBJECT] = {"FRAME_NOT_OBJECT", "another value, expected an object"},
    [NO_TYPE] = {"FRAME_NO_TYPE", "no string \"type\", expected one"},
};

/* Length of the character at `s`; 0 when the end cuts it off; -k when its first k bytes begin no character. */
static int utf8_step(const char *text, size_t n) {
  const unsigned char *s = (const unsigned char *)text, first = s[0];
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return -1;
  int length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  unsigned char low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  unsigned char high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  for (int i = 1; i < length; i++, low = 0x80, high = 0xBF) {
    if ((size_t)i == n) return 0;
    if (s[i] < low || s[i] > high) return -i;
  }
  return length;
}

/* How many bytes at the end of a text begin a character that more bytes would make whole: 0 to 3. */
static inline size_t utf8_cut(const char *text, size_t n) {
  for (size_t tail = 1; tail <= 3 && tail <= n; tail++)
    if (utf8_step(text + n - tail, tail) == 0) return tail;
  return 0;
}

/* Writes a code point in UTF-8 and returns its length. */
static int utf8_put(char *to, long point) {
  static const int marks[] = {0, 0xC0, 0xE0, 0xF0};
  int more = point < 0x80 ? 0 : point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
  to[0] = (char)(marks[more] | point >> 6 * more);
  for (int i = 1; i <= more; i++) to[i] = (char)(0x80 | (point >> 6 * (more - i) & 0x3F));
  return more + 1;
}

static void json_space(const char **in) { *in += strspn(*in, JSON_SPACE); }

static bool json_take(const char **in, const char *word) {
  size_t length = strlen(word);
  if (strncmp(*in, word, length) != 0) return false;
  *in += length;
  return true;
}

static bool json_digits(const char **in) {
  size_t length = strspn(*in, "0123456789");
  *in += length;
  return length > 0;
}

static bool json_number(const char **in) {
  json_take(in, "-");
  if (!json_take(in, "0") && !json_digits(in)) return false;
  if (json_take(in, ".") && !json_digits(in)) return false;
  if (!json_take(in, "e") && !json_take(in, "E")) return true;
  if (!json_take(in, "+")) json_take(in, "-");
  return json_digits(in);
}

static long json_hex4(const char **in) {
  char digits[5] = "";
  if (strspn(*in, "0123456789abcdefABCDEF") < 4) return -1;
  memcpy(digits, *in, 4);
  *in += 4;
  return strtol(digits, NULL, 16);
}

/* The code point of an escape, its backslash taken; -1 for one that does not exist or is half a surrogate pair. */
static long json_escape(const char **in) {
  static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  if (!json_take(in, "u")) {
    const char *name = **in ? strchr(names, *(*in)++) : NULL;
    return name ? values[name - names] : -1;
  }
  long high = json_hex4(in), low = 0;
  if (high < 0xD800 || high > 0xDFFF) return high;
  if (high > 0xDBFF || !json_take(in, "\\u") || (low = json_hex4(in)) < 0xDC00 || low > 0xDFFF) return -1;
  return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}

/* Takes a string and writes it unescaped: never more bytes than it takes. Returns the length, or -1. */
static long json_string(const char **in, char *to) {
  char *start = to;
  if (!json_take(in, "\"")) return -1;
  while (**in != '"') {
    long point = (unsigned char)**in;
    if (point < ' ') return -1; /* the NUL at the end too, which is not passed */
    ++*in;
    if (point == '\\' && (point = json_escape(in)) < 0) return -1;
    if ((*in)[-1] & 0x80) *to++ = (char)point; /* a byte of a character, known to be UTF-8 */
    else to += utf8_put(to, point);
  }
  ++*in;
  return to - start;
}

static const struct field *find_field(const struct frame_reader *reader, const char *path) {
  for (const struct field *field = reader->fields; field < reader->fields + reader->count; field++)
    if (strcmp(field->path, path) == 0) return field;
  return NULL;
}

/* Sets a field from the value whose JSON begins at `from`: NULL resets it. */
static void set_field(struct frame_reader *reader, const struct field *field, const char *from, char *text,
                      long length) {
  bool is_text = from && *from == '"' && !memchr(text, '\0', (size_t)length);
  char *end = "", **item = field->to;
  if (field->kind == FLAG) *(bool *)field->to = from && *from == '{';
  if (field->kind == TEXT) *item = is_text && length > 0 && length <= field->most ? text : NULL;
  if (field->kind == INTEGER) {
    int64_t value = from && *from >= '0' && *from <= '9' ? strtoll(from, &end, 10) : -1;
    *(int64_t *)field->to = value > field->most || (*end && strchr(".eE", *end)) ? -1 : value;
  }
  if (field->kind == LIST && !from) *item = NULL;
  if (field->kind == LIST && from) {
    char **full = item + field->most;
    while (*item) item++;
    if (item == full || !is_text) reader->excess = field->path;
    else item[0] = text, item[1] = NULL;
  }
  if (is_text) reader->arena_used = (size_t)(text + length + 1 - reader->arena);
}

static bool json_items(struct frame_reader *reader, const char **in, const char *path);

/*
 * Takes a value and the white space around it. `prefix` bytes that lie in the free part of the arena belong before its
 * text. Recursion is bounded: depth was counted before.
 */
static bool json_value(struct frame_reader *reader, const char **in, const char *path, long prefix) {
  json_space(in);
  const char *from = *in;
  char *text = reader->arena + reader->arena_used;
  long length = prefix;
  bool ok = true;
  if (*from == '"') {
    long own = json_string(in, text + prefix);
    if (own < 0) return false;
    length += own;
    text[length] = '\0';
  }
  const struct field *field = find_field(reader, path);
  if (field) set_field(reader, field, from, text, length);
  if (strcmp(path, "type") == 0) reader->has_type = *from == '"';
  if (*from == '{' || *from == '[') ok = json_items(reader, in, path);
  else if (*from != '"')
    ok = json_take(in, "true") || json_take(in, "false") || json_take(in, "null") || json_number(in);
  json_space(in);
  return ok;
}

/* Takes an object or an array. */
static bool json_items(struct frame_reader *reader, const char **in, const char *path) {
  bool object = *(*in)++ == '{';
  char inner[64];
  long prefix = 0;
  snprintf(inner, sizeof inner, "%.60s%s", path, object ? "{}" : "[]");
  bool pairs = object && find_field(reader, inner);
  json_space(in);
  if (json_take(in, object ? "}" : "]")) return true;
  do {
    json_space(in);
    if (object) {
      char *name = reader->arena + reader->arena_used;
      long length = json_string(in, name);
      if (length < 0 || (json_space(in), !json_take(in, ":"))) return false;
      name[length] = '\0';
      bool whole = length > 0 && strlen(name) == (size_t)length;
      if (!pairs) snprintf(inner, sizeof inner, "%.30s%s%.30s", path, *path ? "." : "", whole ? name : "?");
      name[length] = pairs ? '=' : '\0';
      prefix = pairs ? length + 1 : 0;
    }
    if (!json_value(reader, in, inner, prefix)) return false;
  } while (json_take(in, ","));
  return json_take(in, object ? "}" : "]");
}

/* Depth is counted on the bytes, JSON or not: brackets outside strings. */
static bool too_deep(const char *body, const char *end) {
  int depth = 0;
  bool in_string = false;
  for (const char *at = body; at < end && depth <= MAX_DEPTH; at++) {
    if (*at == '"') in_string = !in_string;
    else if (in_string) at += *at == '\\';
    else if (*at == '{' || *at == '[') depth++;
    else if (*at == '}' || *at == ']') depth--;
  }
  return depth > MAX_DEPTH;
}

/* The checks in the order that the format fixes, so that every implementation gives the same answer. */
static enum breach check_body(struct frame_reader *reader, const char *body, size_t length) {
  const char *end = body + length, *in = body;
  for (const char *at = body; at < end;) {
    int step = utf8_step(at, (size_t)(end - at));
    if (step <= 0) return NOT_UTF8;
    at += step;
  }
  if (too_deep(body, end)) return TOO_DEEP;
  reader->arena_used = 0;
  reader->has_type = false;
  reader->excess = NULL;
  for (size_t i = 0; i < reader->count; i++) set_field(reader, &reader->fields[i], NULL, NULL, 0);
  if (!json_value(reader, &in, "", 0) || in != end) return NOT_JSON;
  if (body[strspn(body, JSON_SPACE)] != '{') return NOT_OBJECT;
  return reader->has_type ? NO_BREACH : NO_TYPE;
}

/*
 * Reads the first frame of `data`, in which the byte behind the `n` can be written too. Returns its length, header
 * included, all fields set; or 0 when there is a breach or more bytes are needed.
 */
static size_t read_frame(struct frame_reader *reader, char *data, size_t n, enum breach *breach) {
  uint32_t header;
  *breach = NO_BREACH;
  if (n < HEADER_BYTES) return 0;
  memcpy(&header, data, HEADER_BYTES);
  size_t length = ntohl(header);
  if (length == 0) *breach = EMPTY;
  if (length > MAX_FRAME_BYTES) *breach = TOO_LONG;
  if (*breach || n - HEADER_BYTES < length) return 0;
  char *end = data + HEADER_BYTES + length, next = *end;
  *end = '\0';
  *breach = check_body(reader, data + HEADER_BYTES, length);
  *end = next;
  return *breach ? 0 : HEADER_BYTES + length;
}

/* Bytes on the way to a file descriptor that may take them later. */
struct queue {
  int fd;
  char *data;
  size_t room, start, end;
};

static inline bool queue_empty(const struct queue *queue) { return queue->start == queue->end; }

static void queue_put(struct queue *queue, const void *bytes, size_t n) {
  if (n > queue->room - queue->end) abort(); /* the caller sees to room: an end beats a broken stream */
  memcpy(queue->data + queue->end, bytes, n);
  queue->end += n;
}

/* Writes what the other side takes. After EAGAIN comes an edge; a side that is gone for good takes no more. */
static inline void queue_flush(struct queue *queue) {
  while (!queue_empty(queue)) {
    ssize_t n = write(queue->fd, queue->data + queue->start, queue->end - queue->start);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) break;
    queue->start += (size_t)n;
  }
  queue->start = queue->end = 0;
}

/* Puts a JSON string. What is not UTF-8 becomes U+FFFD, one for each ill-formed part, as browsers do it. */
static void put_text(struct queue *queue, const char *text, size_t n) {
  const char *at = text, *end = text + n, *run = text;
  queue_put(queue, "\"", 1);
  while (at < end) {
    int step = utf8_step(at, (size_t)(end - at));
    if (step > 1 || (step == 1 && *at >= ' ' && *at != '"' && *at != '\\')) {
      at += step;
      continue;
    }
    char escape[8] = "\xEF\xBF\xBD";
    if (step == 1) snprintf(escape, sizeof escape, *at == '\n' ? "\\n" : "\\u%04x", *at);
    queue_put(queue, run, (size_t)(at - run));
    queue_put(queue, escape, strlen(escape));
    at += step == 0 ? end - at : step < 0 ? -step : step;
    run = at;
  }
  queue_put(queue, run, (size_t)(at - run));
  queue_put(queue, "\"", 1);
}

/* Puts a frame: ' stands for a quote, %s for a text or NULL, %t for a text and its size_t length, %d for an int64_t. */
static inline void put_frame(struct queue *queue, const char *format, ...) {
  size_t start = queue->end;
  char digits[24];
  va_list arguments;
  va_start(arguments, format);
  queue_put(queue, "\0\0\0", HEADER_BYTES);
  for (; *format; format++) {
    if (*format != '%') {
      queue_put(queue, *format == '\'' ? "\"" : format, 1);
    } else if (*++format == 'd') {
      int n = snprintf(digits, sizeof digits, "%lld", (long long)va_arg(arguments, int64_t));
      queue_put(queue, digits, (size_t)n);
    } else {
      const char *text = va_arg(arguments, const char *);
      if (!text) queue_put(queue, "null", 4);
      else put_text(queue, text, *format == 't' ? va_arg(arguments, size_t) : strlen(text));
    }
  }
  va_end(arguments);
  uint32_t length = htonl((uint32_t)(queue->end - start - HEADER_BYTES));
  memcpy(queue->data + start, &length, HEADER_BYTES);
}

#endif
