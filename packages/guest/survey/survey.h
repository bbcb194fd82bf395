/*
 * What the parts of the survey share. It runs as root inside a machine whose root filesystem nobody vouches for: what it
 * reads is hostile, and so is all that it prints to whoever reads it. README.md has the records.
 */
#ifndef VMLET_SURVEY_H
#define VMLET_SURVEY_H
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
/* The image as it is, without what a machine writes over it. With --root another folder, for tests. */
extern const char *image_root;

enum {
  TEXT_BYTES = 4096,     /* of one text of a record; what is longer is cut */
  MAX_DEPTH = 128,       /* of folders below each other */
  RUN_OUTPUT_BYTES = 262144,
};

/* ---- emit.c: records, one JSON object a line ---- */
void record(const char *kind);
void put_text(const char *name, const char *text);
void put_number(const char *name, int64_t value);
void put_bool(const char *name, bool value);
/* Ends the record. After MAX_OUTPUT_BYTES the program ends: the host takes no more. */
void record_end(void);
long long records_written(void);

/* ---- image.c: files of the image, whatever its links say ---- */
/* Opens a regular file for reading; links lead nowhere outside. -1 and errno: ENXIO for what is no regular file. */
int open_image(const char *path, struct stat *found);
/* Reads at most `room` - 1 bytes and ends them with a NUL. -1 and errno. */
ssize_t read_image(const char *path, char *buffer, size_t room);
/* The whole of a file of at most `most` bytes, in memory that stays; NULL and errno. */
char *load_image(const char *path, size_t most, size_t *length);

struct entry {
  int folder;            /* open on the folder that holds it */
  const char *name;
  const char *path;      /* from the root of the image, without a slash before it; "" for the root */
  struct stat stat;
  int depth;
};
struct walk_result {
  long long too_deep, unreadable;
};
/* Calls `visit` for the root and everything on the image's filesystem, sorted by name in each folder. */
struct walk_result walk_image(void (*visit)(const struct entry *entry, void *context), void *context);
/* A path by which extended attributes of an entry are reached without following it. */
const char *entry_proc_path(const struct entry *entry, char buffer[PATH_MAX]);

/* ---- run.c ---- */
struct ran {
  int status; /* exit status, 128 and the signal, or -1 if it could not be started or was too slow */
  bool late;
  long milliseconds;
  size_t length;
  char output[RUN_OUTPUT_BYTES + 1]; /* of stdout and stderr together, ended with a NUL */
};
void run(char *const argv[], int limit_ms, struct ran *ran);

/* ---- elf.c ---- */
struct elf {
  bool is_elf, is_script;
  char loader[PATH_MAX];
  char kernel[32]; /* oldest kernel that it asks for, or "" */
};
void look_at_elf(int fd, struct elf *elf);

/* ---- the parts of the survey ---- */
void survey_system(void);
void survey_machine(void);
void survey_interpreters(void);
void survey_packages(void);
void survey_files(void);
void survey_sockets(void);
int stream_tree(long long most_bytes);

#endif
