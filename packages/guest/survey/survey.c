/*
 * survey [--root FOLDER] PART...: prints what is in a root filesystem and what its machine can do, as records.
 * survey [--root FOLDER] tar MOST_BYTES: prints it as a tar archive.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "survey.h"

static const struct {
  const char *name;
  void (*survey)(void);
} parts[] = {
    {"system", survey_system},     {"machine", survey_machine}, {"interpreters", survey_interpreters},
    {"packages", survey_packages}, {"files", survey_files},     {"sockets", survey_sockets},
};

static int usage(void) {
  fputs("usage: survey [--root FOLDER] (tar MOST_BYTES | PART...)\nparts:", stderr);
  for (size_t i = 0; i < COUNT(parts); i++) fprintf(stderr, " %s", parts[i].name);
  fputs("\n", stderr);
  return 64;
}

static int run_part(const char *name) {
  for (size_t i = 0; i < COUNT(parts); i++)
    if (strcmp(parts[i].name, name) == 0) {
      parts[i].survey();
      return 0;
    }
  return usage();
}

int main(int argc, char **argv) {
  int at = 1;
  if (argc > 2 && strcmp(argv[1], "--root") == 0) {
    image_root = argv[2];
    at = 3;
  }
  /* A folder is open for each level of the walk. */
  setrlimit(RLIMIT_NOFILE, &(struct rlimit){1024, 1024});
  if (at == argc) return usage();
  if (strcmp(argv[at], "tar") == 0) return at + 2 == argc ? stream_tree(strtoll(argv[at + 1], NULL, 10)) : usage();
  for (; at < argc; at++)
    if (run_part(argv[at]) != 0) return 64;
  record("end");
  put_number("records", records_written());
  record_end();
  return 0;
}
