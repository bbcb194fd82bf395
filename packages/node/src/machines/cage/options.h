/* What a cage is made of, as its options say; and the one way in which anything fails. */
#include <errno.h>
#include <linux/filter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

/* How the caller tells that the cage, not the command, has failed. */
#define EXIT_CAGE 125
#define MAX_ENTRIES 64

enum kind { BIND, WRITABLE, DEVICE, LINK, NO_ENTRY };

struct entry {
	enum kind kind;
	const char *from, *to;
	int fd;
};

struct limit {
	int number;
	rlim_t value;
};

static struct cage {
	pid_t parent;
	const char *cgroups[MAX_ENTRIES];
	size_t cgroup_count;
	int namespaces;
	const char *network;
	struct entry entries[MAX_ENTRIES];
	size_t entry_count;
	struct limit limits[MAX_ENTRIES];
	size_t limit_count;
	int has_user;
	uid_t uid;
	gid_t gid;
	int seccomp_fd, report_fd, keep;
	struct sock_fprog filter;
	char **command;
} cage = { .seccomp_fd = -1, .report_fd = -1, .keep = 3 };

static void die(const char *what, const char *operand)
{
	fprintf(stderr, "vmlet-cage: cannot %s \"%s\": %s\n", what, operand, strerror(errno));
	_exit(EXIT_CAGE);
}

static void must(long returned, const char *what, const char *operand)
{
	if (returned < 0)
		die(what, operand);
}

static char *next(char ***at, const char *option)
{
	if (!**at) {
		errno = EINVAL;
		die("read the value of", option);
	}
	return *(*at)++;
}

static size_t slot(size_t *count, const char *option)
{
	if (*count == MAX_ENTRIES) {
		errno = E2BIG;
		die("take another", option);
	}
	return (*count)++;
}

static enum kind kind_of(const char *option)
{
	static const char *const names[] = { "--bind", "--writable", "--device", "--link" };
	int kind = 0;

	while (kind < NO_ENTRY && strcmp(option, names[kind]))
		kind++;
	return kind;
}

static void parse(char **at)
{
	while (*at) {
		char *option = *at++;

		if (!strcmp(option, "--"))
			break;
		if (!strcmp(option, "--parent"))
			cage.parent = atoi(next(&at, option));
		else if (!strcmp(option, "--cgroup"))
			cage.cgroups[slot(&cage.cgroup_count, option)] = next(&at, option);
		else if (!strcmp(option, "--namespaces"))
			cage.namespaces = 1;
		else if (!strcmp(option, "--network"))
			cage.network = next(&at, option);
		else if (kind_of(option) != NO_ENTRY) {
			struct entry *entry = &cage.entries[slot(&cage.entry_count, option)];

			entry->kind = kind_of(option);
			entry->from = next(&at, option);
			entry->to = next(&at, option);
		} else if (!strcmp(option, "--limit")) {
			struct limit *limit = &cage.limits[slot(&cage.limit_count, option)];

			limit->number = atoi(next(&at, option));
			limit->value = strtoull(next(&at, option), NULL, 10);
		} else if (!strcmp(option, "--user")) {
			cage.has_user = 1;
			cage.uid = strtoul(next(&at, option), NULL, 10);
			cage.gid = strtoul(next(&at, option), NULL, 10);
		} else if (!strcmp(option, "--seccomp"))
			cage.seccomp_fd = atoi(next(&at, option));
		else if (!strcmp(option, "--report"))
			cage.report_fd = atoi(next(&at, option));
		else if (!strcmp(option, "--keep"))
			cage.keep = atoi(next(&at, option));
		else {
			errno = EINVAL;
			die("understand", option);
		}
	}
	cage.command = at;
	if (!*at) {
		errno = EINVAL;
		die("find", "the command");
	}
}
