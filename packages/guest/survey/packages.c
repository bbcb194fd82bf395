/* What package managers have written down: dpkg, apk, and rpm by its own program. */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "survey.h"

enum { MAX_DATABASE_BYTES = 64 * 1024 * 1024, MAX_PACKAGES = 20000, RUN_MS = 20000 };
/* No package has more; a sum of them stays a whole number for whoever reads it. */
static const long long MAX_SIZE = 1LL << 40;
static int reported;

struct package {
  const char *name, *version, *architecture, *status;
  long long bytes;
};

static void report(const char *manager, const struct package *package) {
  if (!package->name || !package->version || reported++ >= MAX_PACKAGES) return;
  record("package");
  put_text("manager", manager);
  put_text("name", package->name);
  put_text("version", package->version);
  put_text("architecture", package->architecture ? package->architecture : "");
  put_number("bytes", package->bytes);
  record_end();
}

static long long size_of(const char *text, long long unit) {
  long long size = strtoll(text, NULL, 10);
  return size < 0 || size > MAX_SIZE / unit ? 0 : size * unit;
}

/* The value of `Field: value`, or NULL for another field. */
static char *value_of(char *text, const char *field) {
  size_t n = strlen(field);
  if (strncmp(text, field, n) != 0 || text[n] != ':') return NULL;
  return text + n + 1 + strspn(text + n + 1, " \t");
}

static void take_dpkg_line(char *text, struct package *package) {
  char *value;
  if ((value = value_of(text, "Package"))) package->name = value;
  else if ((value = value_of(text, "Version"))) package->version = value;
  else if ((value = value_of(text, "Architecture"))) package->architecture = value;
  else if ((value = value_of(text, "Status"))) package->status = value;
  else if ((value = value_of(text, "Installed-Size"))) package->bytes = size_of(value, 1024);
}

static void survey_dpkg(const char *path) {
  size_t length;
  struct package package = {0};
  char *bytes = load_image(path, MAX_DATABASE_BYTES, &length);
  if (!bytes) return;
  for (char *rest = bytes, *text; (text = strsep(&rest, "\n"));) {
    if (*text) take_dpkg_line(text, &package);
    if (*text && rest) continue;
    /* Those of a distroless image have no status: they are all there. */
    if (!package.status || strcmp(package.status, "install ok installed") == 0 || strcmp(package.status, "hold ok installed") == 0)
      report("dpkg", &package);
    package = (struct package){0};
  }
  free(bytes);
}

/* One file a package, as images without dpkg have them. */
static void survey_dpkg_folder(void) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/var/lib/dpkg/status.d", image_root);
  DIR *names = opendir(path);
  if (!names) return;
  for (struct dirent *entry; (entry = readdir(names));)
    if (entry->d_name[0] != '.' && !strstr(entry->d_name, ".md5sums")) {
      snprintf(path, sizeof path, "var/lib/dpkg/status.d/%.255s", entry->d_name);
      survey_dpkg(path);
    }
  closedir(names);
}

static void survey_apk(const char *path) {
  size_t length;
  struct package package = {0};
  char *bytes = load_image(path, MAX_DATABASE_BYTES, &length);
  if (!bytes) return;
  for (char *rest = bytes, *text; (text = strsep(&rest, "\n"));) {
    if (*text && text[1] == ':') {
      if (*text == 'P') package.name = text + 2;
      if (*text == 'V') package.version = text + 2;
      if (*text == 'A') package.architecture = text + 2;
      if (*text == 'I') package.bytes = size_of(text + 2, 1);
    }
    if (*text && rest) continue;
    report("apk", &package);
    package = (struct package){0};
  }
  free(bytes);
}

/* Its database has had four forms; its program knows its own. */
static void survey_rpm(void) {
  static char *const argv[] = {"/usr/bin/rpm", "-qa", "--qf", "%{NAME}\t%{VERSION}-%{RELEASE}\t%{ARCH}\t%{SIZE}\n", NULL};
  static struct ran ran;
  if (access(argv[0], X_OK) != 0 || reported > 0) return;
  run(argv, RUN_MS, &ran);
  for (char *rest = ran.output, *text; (text = strsep(&rest, "\n"));) {
    struct package package = {.name = strsep(&text, "\t"), .version = strsep(&text, "\t"), .architecture = strsep(&text, "\t")};
    if (!text) continue;
    package.bytes = size_of(text, 1);
    report("rpm", &package);
  }
}

void survey_packages(void) {
  survey_dpkg("var/lib/dpkg/status");
  survey_dpkg_folder();
  survey_apk("lib/apk/db/installed");
  survey_apk("usr/lib/apk/db/installed");
  survey_rpm();
  record("packages");
  put_number("count", reported);
  record_end();
}
