/* Interpreters and compilers: where they are, whether they run, and what they lack. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "survey.h"

enum { MAX_FOUND = 48, RUN_MS = 20000, MAX_MISSING = 32, MAX_PROBED = 2 };

static const struct wanted {
  const char *name, *files[3], *arguments[3];
} wanted[] = {
    {"python", {"python3", "python"}, {"--version"}},
    {"node", {"node", "nodejs"}, {"--version"}},
    {"perl", {"perl"}, {"-e", "print $^V"}},
    {"ruby", {"ruby"}, {"--version"}},
    {"php", {"php"}, {"--version"}},
    {"java", {"java"}, {"-version"}},
    {"rust", {"rustc"}, {"--version"}},
    {"go", {"go"}, {"version"}},
    {"docker", {"docker"}, {"--version"}},
    {"deno", {"deno"}, {"--version"}},
    {"bun", {"bun"}, {"--version"}},
};

/* With a star for one folder of any name. */
static const char *const folders[] = {
    "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/go/bin",
    "/usr/local/cargo/bin", "/root/.cargo/bin", "/opt/*/bin", "/opt/node/*/bin", "/opt/python/*/bin",
    "/usr/lib/jvm/*/bin", "/root/.nvm/versions/node/*/bin", "/usr/local/nvm/versions/node/*/bin",
};

/*
 * The modules of which programs need one or another, and what TLS trusts. `-I`: the image's own startup files still run,
 * which a program's interpreter does too.
 */
static const char python_probe[] =
    "import sys\n"
    "for name in 'ssl hashlib zlib sqlite3 ctypes asyncio lzma bz2 decimal uuid'.split():\n"
    "    try: __import__(name); print('ok', name)\n"
    "    except BaseException as error: print('no', name, type(error).__name__, str(error)[:200].replace('\\n', ' '))\n"
    "try:\n"
    "    import ssl; print('roots', ssl.create_default_context().cert_store_stats()['x509_ca'])\n"
    "except BaseException as error: print('roots -1')\n"
    "print('encoding', sys.getfilesystemencoding())\n";

static struct {
  dev_t device;
  ino_t inode;
} seen[MAX_FOUND];
static int found, probed;

/* ---- shared libraries ---- */

/* A line of what a loader lists: "lib.so => /path (0x...)", "lib.so => not found", or musl's words for what it misses. */
static void take_library(char *text, const char *of, int *resolved, int *missing) {
  static const char musl[] = "Error loading shared library ";
  char *name = strstr(text, musl), *arrow = strstr(text, " => ");
  bool is_missing = name || (arrow && strncmp(arrow, " => not found", 13) == 0);
  name = name ? name + strlen(musl) : text + strspn(text, " \t");
  name[strcspn(name, ": \t")] = '\0';
  if (!is_missing) {
    *resolved += arrow != NULL || *name == '/';
    return;
  }
  if ((*missing)++ >= MAX_MISSING) return;
  record("library");
  put_text("of", of);
  put_text("name", name);
  record_end();
}

/* glibc's `--list` stops at the first that is missing; by its variable, as ldd does it, it names them all. */
static void list_libraries(const char *path, const struct elf *elf) {
  static struct ran ran;
  int resolved = 0, missing = 0;
  bool is_musl = strstr(elf->loader, "ld-musl") != NULL;
  if (!is_musl) setenv("LD_TRACE_LOADED_OBJECTS", "1", 1);
  run((char *const[]){(char *)elf->loader, is_musl ? "--list" : (char *)path, is_musl ? (char *)path : NULL, NULL}, RUN_MS, &ran);
  unsetenv("LD_TRACE_LOADED_OBJECTS");
  for (char *rest = ran.output, *text; (text = strsep(&rest, "\n"));) take_library(text, path, &resolved, &missing);
  record("libraries");
  put_text("of", path);
  put_number("resolved", resolved);
  put_number("missing", missing);
  record_end();
}

/* ---- what Python finds ---- */

static void take_probe_line(const char *text, const char *path) {
  char word[16], name[64];
  int at = 0;
  if (sscanf(text, "%15s %63s %n", word, name, &at) < 2) return;
  if (strcmp(word, "ok") == 0 || strcmp(word, "no") == 0) {
    record("module");
    put_text("of", path);
    put_text("name", name);
    put_text("error", *word == 'o' ? "" : at > 0 && text[at] ? text + at : "unknown");
    record_end();
  } else if (strcmp(word, "roots") == 0 || strcmp(word, "encoding") == 0) {
    record(*word == 'r' ? "authorities" : "encoding");
    put_text("of", path);
    put_text("value", name);
    record_end();
  }
}

static void probe_python(const char *path) {
  static struct ran ran;
  run((char *const[]){(char *)path, "-I", "-c", (char *)python_probe, NULL}, RUN_MS, &ran);
  for (char *rest = ran.output, *text; (text = strsep(&rest, "\n"));) take_probe_line(text, path);
}

/* ---- finding them ---- */

static bool is_new(const struct stat *file) {
  for (int i = 0; i < found; i++)
    if (seen[i].device == file->st_dev && seen[i].inode == file->st_ino) return false;
  if (found == MAX_FOUND) return false;
  seen[found].device = file->st_dev;
  seen[found++].inode = file->st_ino;
  return true;
}

static void report(const struct wanted *one, const char *path, int fd) {
  static struct ran ran;
  struct elf elf;
  char link[40], real[PATH_MAX] = "";
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, real, sizeof real - 1);
  real[n < 0 ? 0 : n] = '\0';
  look_at_elf(fd, &elf);
  bool has_loader = !elf.loader[0] || access(elf.loader, X_OK) == 0;
  char *argv[5] = {(char *)path};
  for (int i = 0; i < 3 && one->arguments[i]; i++) argv[i + 1] = (char *)one->arguments[i];
  run(argv, RUN_MS, &ran);
  if (ran.length > TEXT_BYTES / 4) ran.output[TEXT_BYTES / 4] = '\0';
  record("interpreter");
  put_text("name", one->name);
  put_text("path", path);
  put_text("real", real);
  put_text("form", elf.is_elf ? "elf" : elf.is_script ? "script" : "other");
  put_text("loader", elf.loader);
  put_bool("hasLoader", has_loader);
  put_text("oldestKernel", elf.kernel);
  put_text("output", ran.output);
  put_number("status", ran.status);
  put_bool("late", ran.late);
  put_number("milliseconds", ran.milliseconds);
  record_end();
  if (elf.is_elf && elf.loader[0] && has_loader) list_libraries(path, &elf);
  if (strcmp(one->name, "python") == 0 && ran.status == 0 && probed++ < MAX_PROBED) probe_python(path);
}

static void look_at(const struct wanted *one, const char *folder, const char *file) {
  char path[PATH_MAX];
  struct stat status;
  if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, file) >= sizeof path) return;
  int fd = stat(path, &status) == 0 && S_ISREG(status.st_mode) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return;
  if ((status.st_mode & 0111) && is_new(&status)) report(one, path, fd);
  close(fd);
}

/* python3.11 and its like, where no python3 leads to it. */
static void look_for_pythons(const char *folder) {
  DIR *names = opendir(folder);
  if (!names) return;
  for (struct dirent *entry; (entry = readdir(names));) {
    const char *minor = entry->d_name + strlen("python3.");
    if (strncmp(entry->d_name, "python3.", strlen("python3.")) == 0 && *minor && strspn(minor, "0123456789") == strlen(minor))
      look_at(wanted, folder, entry->d_name);
  }
  closedir(names);
}

static void look_in(const char *folder) {
  for (size_t i = 0; i < COUNT(wanted); i++)
    for (size_t k = 0; k < 3 && wanted[i].files[k]; k++) look_at(wanted + i, folder, wanted[i].files[k]);
  look_for_pythons(folder);
}

static void look_in_pattern(const char *pattern) {
  const char *star = strchr(pattern, '*');
  char before[PATH_MAX], folder[PATH_MAX];
  if (!star) {
    look_in(pattern);
    return;
  }
  snprintf(before, sizeof before, "%.*s", (int)(star - pattern), pattern);
  DIR *names = opendir(before);
  if (!names) return;
  for (struct dirent *entry; (entry = readdir(names));)
    if (entry->d_name[0] != '.' && (size_t)snprintf(folder, sizeof folder, "%s%s%s", before, entry->d_name, star + 1) < sizeof folder)
      look_in(folder);
  closedir(names);
}

void survey_interpreters(void) {
  for (size_t i = 0; i < COUNT(folders); i++) look_in_pattern(folders[i]);
}
