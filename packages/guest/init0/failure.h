/* What went wrong last, in words: noted where errno is known, and reported where the phase is. */
#ifndef VMLET_FAILURE_H
#define VMLET_FAILURE_H
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES = 1024 };

static struct {
  const char *code;
  char message[TEXT_BYTES + 128], detail[128];
} failure;

/* Notes a failure and returns false. `error` is the errno to blame, 0 for none; its text ends the message. */
__attribute__((format(printf, 3, 4))) static bool fail(int error, const char *code, const char *format, ...) {
  char *message = failure.message;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, TEXT_BYTES, format, arguments);
  va_end(arguments);
  for (char *c = strpbrk(message, "\r\n"); c; c = strpbrk(c, "\r\n")) *c = ' '; /* a message is one line */
  if (error) sprintf(message + strlen(message), ": %.100s", strerror(error));
  snprintf(failure.detail, sizeof failure.detail, error ? "%s: %s" : "", strerrorname_np(error), strerror(error));
  failure.code = code;
  return false;
}

#endif
