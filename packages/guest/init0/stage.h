/*
 * A machine whose image brings its own init is started in two stages, both of them init0. The one of the boot kit makes
 * the root, up to where the kit's drive would be mounted, and becomes /sbin/init of the image, which goes on with hello.
 * No descriptor is handed on: the ports are found again by name, as an init0 of any other version would.
 */
#ifndef STAGE_H
#define STAGE_H

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IMAGE_INIT "/sbin/init"
#define SECOND_STAGE "--root-is-made"

/* The host says so by a word of the kernel's command line, which the kernel makes a variable of what it knows nothing of. */
static inline bool is_first_stage(void) {
  const char *init = getenv("vmlet_init");
  return init && strcmp(init, "image") == 0;
}

static inline bool is_second_stage(int argc, char **argv) {
  return argc == 2 && strcmp(argv[1], SECOND_STAGE) == 0;
}

/* Returns only when it fails, with the errno. */
static inline int become_image_init(void) {
  char *arguments[] = {IMAGE_INIT, SECOND_STAGE, NULL}, *nothing[] = {NULL};
  execve(IMAGE_INIT, arguments, nothing);
  return errno;
}

#endif
