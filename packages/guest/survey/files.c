/* Every file of the image: how many, how large, which give rights away, and which should not be there. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "survey.h"

enum { MAX_OF_A_KIND = 100, HEAD_BYTES = 65536, MAX_SEARCHED = 4000, LARGE_BYTES = 200 * 1024 * 1024 };

static const char *const kinds[] = {"setuid", "setgid", "capability", "writable", "device", "odd-name", "large", "secret"};
static long long counts[COUNT(kinds)], files, folders, links, others, bytes, searched;

static void report(int kind, const struct entry *entry, const char *detail) {
  if (counts[kind]++ >= MAX_OF_A_KIND) return;
  record("file");
  put_text("why", kinds[kind]);
  put_text("path", entry->path);
  put_text("detail", detail);
  put_number("bytes", entry->stat.st_size);
  put_number("mode", entry->stat.st_mode & 07777);
  put_number("uid", entry->stat.st_uid);
  record_end();
}

static bool ends_with(const char *text, const char *end) {
  size_t n = strlen(text), m = strlen(end);
  return n >= m && strcmp(text + n - m, end) == 0;
}

static bool begins_with(const char *text, const char *begin) { return strncmp(text, begin, strlen(begin)) == 0; }

/* ---- secrets ---- */

/* Files that are known by name, and what makes one of them a secret: without these words it is a template. */
static const struct known {
  const char *end, *words, *what;
} known[] = {
    {".npmrc", "_auth", "a token of an npm registry"},
    {".pypirc", "password", "a token of a Python registry"},
    {".netrc", "password", "passwords"},
    {".git-credentials", "://", "passwords of git"},
    {".aws/credentials", "aws_secret_access_key", "keys of a cloud"},
    {"application_default_credentials.json", "refresh_token", "keys of a cloud"},
    {".azure/accessTokens.json", "accessToken", "keys of a cloud"},
    {".docker/config.json", "\"auth\"", "a password of an image registry"},
    {".dockercfg", "auth", "a password of an image registry"},
    {".kube/config", "client-key-data", "keys of a cluster"},
    {".kube/config", "token:", "keys of a cluster"},
    {".cargo/credentials.toml", "token", "a token of a Rust registry"},
    {".pgpass", ":", "passwords of a database"},
    {".vault-token", "", "a token"},
    {".my.cnf", "password", "a password of a database"},
    {".bash_history", "", "what somebody has typed"},
    {".htpasswd", ":", "passwords"},
};

static bool is_environment(const char *name) {
  return (strcmp(name, ".env") == 0 || begins_with(name, ".env.")) && !ends_with(name, ".example") &&
         !ends_with(name, ".sample") && !ends_with(name, ".template") && !ends_with(name, ".dist");
}

static bool is_key_name(const char *name) {
  return ends_with(name, ".pem") || ends_with(name, ".key") || (begins_with(name, "id_") && !ends_with(name, ".pub")) ||
         (begins_with(name, "ssh_host_") && ends_with(name, "_key"));
}

/* Where people put what is theirs; packages of languages bring keys of their own tests. */
static bool is_of_people(const char *path) {
  static const char *const places[] = {"etc/", "root/", "home/", "opt/", "srv/", "app/", "var/www/", "workspace/", "usr/local/etc/"};
  static const char *const libraries[] = {"/node_modules/", "/site-packages/", "/dist-packages/", "/include/"};
  bool is = strchr(path, '/') == NULL;
  for (size_t i = 0; i < COUNT(places); i++) is = is || begins_with(path, places[i]);
  for (size_t i = 0; i < COUNT(libraries); i++) is = is && !strstr(path, libraries[i]);
  return is;
}

static const struct known *known_by(const char *path) {
  for (size_t i = 0; i < COUNT(known); i++)
    if (ends_with(path, known[i].end)) return known + i;
  return NULL;
}

static ssize_t read_head(const struct entry *entry, char *head) {
  int fd = openat(entry->folder, entry->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return -1;
  ssize_t n = read(fd, head, HEAD_BYTES);
  close(fd);
  return n;
}

static bool has(const char *head, size_t n, const char *words) { return memmem(head, n, words, strlen(words)) != NULL; }

static void look_for_secrets(const struct entry *entry) {
  static char head[HEAD_BYTES];
  const struct known *one = known_by(entry->path);
  bool has_name = one || is_environment(entry->name) || is_key_name(entry->name);
  if (entry->stat.st_size == 0 || entry->stat.st_size > 4 * HEAD_BYTES) return;
  if (!has_name && (!is_of_people(entry->path) || searched++ >= MAX_SEARCHED)) return;
  ssize_t n = read_head(entry, head);
  if (n <= 0) return;
  for (; one && one < known + COUNT(known) && ends_with(entry->path, one->end); one++)
    if (has(head, (size_t)n, one->words)) {
      report(7, entry, one->what);
      return;
    }
  if (is_environment(entry->name) && has(head, (size_t)n, "=")) report(7, entry, "variables of a program");
  else if (has(head, (size_t)n, " PRIVATE KEY-----") && has(head, (size_t)n, "-----BEGIN ")) report(7, entry, "a private key");
  else if (has(head, (size_t)n, "aws_secret_access_key")) report(7, entry, "keys of a cloud");
}

/* ---- rights ---- */

static void look_for_rights(const struct entry *entry) {
  char path[PATH_MAX], words[40];
  struct vfs_cap_data capability;
  mode_t mode = entry->stat.st_mode;
  if (mode & S_ISUID) report(0, entry, "");
  else if ((mode & S_ISGID) && (mode & S_IXGRP)) report(1, entry, "");
  if (mode & 0111 && lgetxattr(entry_proc_path(entry, path), "security.capability", &capability, sizeof capability) >= 12) {
    snprintf(words, sizeof words, "%08x%08x", capability.data[1].permitted, capability.data[0].permitted);
    report(2, entry, words);
  }
  if (mode & S_IWOTH) report(3, entry, "");
  if (entry->stat.st_size >= LARGE_BYTES) report(6, entry, "");
  look_for_secrets(entry);
}

static bool has_odd_name(const char *name) {
  for (const unsigned char *at = (const unsigned char *)name; *at; at++)
    if (*at < 0x20 || *at == 0x7f) return true;
  return false;
}

static void visit(const struct entry *entry, void *context) {
  (void)context;
  mode_t mode = entry->stat.st_mode;
  if (has_odd_name(entry->name)) report(5, entry, "");
  if (S_ISDIR(mode)) {
    folders++;
    if ((mode & S_IWOTH) && !(mode & S_ISVTX)) report(3, entry, "folder");
  } else if (S_ISLNK(mode)) {
    links++;
  } else if (S_ISREG(mode)) {
    files++;
    bytes += entry->stat.st_size / (entry->stat.st_nlink > 0 ? (off_t)entry->stat.st_nlink : 1);
    look_for_rights(entry);
  } else {
    others++;
    if (S_ISCHR(mode) || S_ISBLK(mode)) report(4, entry, "");
  }
}

void survey_files(void) {
  struct walk_result result = walk_image(visit, NULL);
  for (size_t i = 0; i < COUNT(kinds); i++) {
    record("files");
    put_text("why", kinds[i]);
    put_number("count", counts[i]);
    record_end();
  }
  record("tree");
  put_number("files", files);
  put_number("folders", folders);
  put_number("links", links);
  put_number("others", others);
  put_number("bytes", bytes);
  put_number("tooDeep", result.too_deep);
  put_number("unreadable", result.unreadable);
  record_end();
}
