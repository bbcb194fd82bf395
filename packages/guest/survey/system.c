/* What the image says of itself, and what the machine that it makes can do. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "survey.h"

enum { MAX_LIBC_BYTES = 16 * 1024 * 1024, MAX_BUNDLE_BYTES = 16 * 1024 * 1024, MAX_INIT_BYTES = 32 * 1024 * 1024, AFTER_BYTES = 32 };

/* Emits the beginning of a text file as it is; who reads the record makes sense of it. */
static void put_file(const char *kind, const char *path) {
  char text[TEXT_BYTES];
  ssize_t n = read_image(path, text, sizeof text);
  record(kind);
  put_text("path", path);
  put_text("error", n < 0 ? strerrorname_np(errno) : strlen(text) < (size_t)n ? "NUL" : "");
  put_text("text", n < 0 ? "" : text);
  record_end();
}

static void survey_filesystem(void) {
  static const struct {
    long magic;
    const char *name;
  } types[] = {{0xE0F5E1E2, "erofs"}, {0x73717368, "squashfs"}, {0xEF53, "ext4"}, {0x9123683E, "btrfs"}};
  struct statfs found;
  const char *name = "other";
  if (statfs(image_root, &found) != 0) return;
  for (size_t i = 0; i < COUNT(types); i++)
    if ((unsigned long)found.f_type == (unsigned long)types[i].magic) name = types[i].name;
  record("filesystem");
  put_text("type", name);
  put_number("blockBytes", (int64_t)found.f_bsize);
  put_number("blocks", (int64_t)found.f_blocks);
  put_number("freeBlocks", (int64_t)found.f_bfree);
  record_end();
}

/* Whether `words` are in a file of the image, and what comes after them there. */
static bool find_in(const char *path, const char *words, size_t most, char after[AFTER_BYTES]) {
  size_t length;
  char *bytes = load_image(path, most, &length);
  char *at = bytes ? memmem(bytes, length, words, strlen(words)) : NULL;
  if (at) snprintf(after, AFTER_BYTES, "%s", at + strlen(words));
  free(bytes);
  return at != NULL;
}

/* The C library, by its own banner; the file is not run. */
static void survey_libc(void) {
  static const char *const glibc[] = {"lib/x86_64-linux-gnu/libc.so.6", "usr/lib64/libc.so.6", "lib64/libc.so.6", "usr/lib/libc.so.6"};
  const char *name = "none";
  char after[AFTER_BYTES], version[AFTER_BYTES] = "";
  for (size_t i = 0; i < COUNT(glibc) && strcmp(name, "none") == 0; i++)
    if (find_in(glibc[i], "release version ", MAX_LIBC_BYTES, after)) {
      size_t n = strspn(after, "0123456789.");
      if (n > 0 && after[n - 1] == '.') n--;
      snprintf(version, sizeof version, "%.*s", (int)n, after);
      name = "glibc";
    }
  if (strcmp(name, "none") == 0 && find_in("lib/ld-musl-x86_64.so.1", "musl", MAX_LIBC_BYTES, after)) name = "musl";
  record("libc");
  put_text("name", name);
  put_text("version", version);
  record_end();
}

static void survey_init(void) {
  static const char *const paths[] = {"sbin/init", "usr/sbin/init", "init"};
  char path[PATH_MAX], real[PATH_MAX] = "", after[AFTER_BYTES];
  for (size_t i = 0; i < COUNT(paths); i++) {
    int fd = open_image(paths[i], NULL);
    if (fd < 0) continue;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(path, real, sizeof real - 1);
    real[n < 0 ? 0 : n] = '\0';
    close(fd);
    record("init");
    put_text("path", paths[i]);
    put_text("real", real);
    put_bool("isVmlet", find_in(paths[i], "--root-is-made", MAX_INIT_BYTES, after));
    record_end();
    return;
  }
}

/* Bundles of authorities, by the places where OpenSSL, GnuTLS and Go look. */
static void survey_trust(void) {
  static const char *const bundles[] = {"etc/ssl/certs/ca-certificates.crt", "etc/pki/tls/certs/ca-bundle.crt",
                                        "etc/ssl/ca-bundle.pem", "etc/ssl/cert.pem", "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"};
  static const char mark[] = "-----BEGIN CERTIFICATE-----";
  for (size_t i = 0; i < COUNT(bundles); i++) {
    size_t length, count = 0;
    char *bytes = load_image(bundles[i], MAX_BUNDLE_BYTES, &length);
    if (!bytes) continue;
    for (char *at = bytes; (at = memmem(at, length - (size_t)(at - bytes), mark, strlen(mark))); at += strlen(mark)) count++;
    record("bundle");
    put_text("path", bundles[i]);
    put_number("certificates", (int64_t)count);
    record_end();
    free(bytes);
  }
}

static void survey_locale(void) {
  static const char *const folders[] = {"usr/lib/locale/C.utf8", "usr/lib/locale/C.UTF-8"};
  char path[PATH_MAX];
  bool is_there = false;
  for (size_t i = 0; i < COUNT(folders); i++) {
    snprintf(path, sizeof path, "%s/%s/LC_CTYPE", image_root, folders[i]);
    is_there = is_there || access(path, R_OK) == 0;
  }
  record("locale");
  put_text("name", "C.UTF-8");
  put_bool("hasFiles", is_there);
  record_end();
}

/* Accounts that a password opens, or nothing at all. The hash itself stays here. */
static void survey_accounts(void) {
  static char text[262144];
  if (read_image("etc/shadow", text, sizeof text) < 0) return;
  for (char *rest = text, *one; (one = strsep(&rest, "\n"));) {
    char *name = strsep(&one, ":"), *secret = strsep(&one, ":");
    if (!secret || *secret == '*' || *secret == '!') continue;
    record("account");
    put_text("name", name);
    put_bool("hasPassword", *secret != '\0');
    record_end();
  }
}

/* Modules that the image wants loaded: whether this kernel has them. */
static void take_modules(const char *path) {
  static char text[65536];
  if (read_image(path, text, sizeof text) < 0) return;
  for (char *rest = text, *one; (one = strsep(&rest, "\n"));) {
    one += strspn(one, " \t");
    one[strcspn(one, " \t#;")] = '\0';
    if (!*one) continue;
    record("kernelModule");
    put_text("name", one);
    put_text("from", path);
    record_end();
  }
}

static void survey_kernel(void) {
  char path[PATH_MAX];
  struct utsname kernel;
  uname(&kernel);
  record("kernel");
  put_text("release", kernel.release);
  put_text("machine", kernel.machine);
  record_end();
  take_modules("etc/modules");
  snprintf(path, sizeof path, "%s/etc/modules-load.d", image_root);
  DIR *names = opendir(path);
  if (!names) return;
  for (struct dirent *entry; (entry = readdir(names));)
    if (strlen(entry->d_name) > 5 && strcmp(entry->d_name + strlen(entry->d_name) - 5, ".conf") == 0) {
      snprintf(path, sizeof path, "etc/modules-load.d/%.255s", entry->d_name);
      take_modules(path);
    }
  closedir(names);
}

void survey_system(void) {
  survey_filesystem();
  char text[2];
  put_file("osRelease", read_image("etc/os-release", text, sizeof text) < 0 && errno == ENOENT ? "usr/lib/os-release" : "etc/os-release");
  put_file("nsswitch", "etc/nsswitch.conf");
  put_file("machineId", "etc/machine-id");
  survey_libc();
  survey_init();
  survey_trust();
  survey_locale();
  survey_accounts();
  survey_kernel();
}

/* ---- the machine ---- */

static void try_writing(const char *folder) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/.vmlet-survey-%d", folder, getpid());
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  int error = fd < 0 ? errno : write(fd, path, 1) == 1 ? 0 : errno;
  struct stat found = {0};
  if (stat(folder, &found) != 0) found.st_mode = 0;
  if (fd >= 0) {
    close(fd);
    unlink(path);
  }
  record("writable");
  put_text("path", folder);
  put_text("error", error ? strerrorname_np(error) : "");
  put_number("mode", found.st_mode & 07777);
  record_end();
}

void survey_machine(void) {
  static const char *const folders[] = {"/tmp", "/var/tmp", "/run", "/dev/shm", "/root"};
  struct timespec now;
  unsigned char random[32];
  clock_gettime(CLOCK_REALTIME, &now);
  record("clock");
  put_number("ms", (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
  record_end();
  ssize_t n = getrandom(random, sizeof random, GRND_NONBLOCK);
  record("entropy");
  put_text("error", n == (ssize_t)sizeof random ? "" : n < 0 ? strerrorname_np(errno) : "short");
  record_end();
  for (size_t i = 0; i < COUNT(folders); i++) try_writing(folders[i]);
  struct stat code;
  if (stat("/opt/code", &code) == 0) try_writing("/opt/code");
}

/* ---- who listens ---- */

static void take_sockets(const char *path, const char *protocol, unsigned wanted) {
  char text[512];
  FILE *table = fopen(path, "re");
  if (!table) return;
  while (fgets(text, sizeof text, table)) {
    char address[33];
    unsigned port, state;
    if (sscanf(text, " %*d: %32[0-9A-F]:%x %*[0-9A-F]:%*x %x", address, &port, &state) != 3 || state != wanted) continue;
    record("socket");
    put_text("protocol", protocol);
    put_text("address", address);
    put_number("port", port & 0xffff);
    record_end();
  }
  fclose(table);
}

void survey_sockets(void) {
  take_sockets("/proc/net/tcp", "tcp", 10);
  take_sockets("/proc/net/tcp6", "tcp6", 10);
  take_sockets("/proc/net/udp", "udp", 7);
  take_sockets("/proc/net/udp6", "udp6", 7);
}
