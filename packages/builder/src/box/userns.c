/*
 * Runs one command as the root of a user namespace, with no network and with folders of the host at hand.
 *
 * Two processes come of it. The first keeps the caller's identity, gives the second its ids, and passes on how it
 * ended; the second enters the namespaces and becomes the command, which is bwrap: that makes the view. Both ask for
 * SIGKILL at the end of their parent, and look afterwards whether it is still there: a parent that died before the
 * call would never be noticed.
 *
 * Options come in this order; all values are the caller's, who is trusted. What they name may not be: folders are
 * opened without following any link below the one that comes first.
 *
 *   --parent PID               whose end is ours
 *   --uids FIRST --gids FIRST  65536 ids of the host from there on. The host's root gets them as 0 and on; anybody
 *                              else stays himself as 0, and gets them as 1 and on, by newuidmap and newgidmap
 *   --network                  keep the host's network
 *   --share FROM NAME          show a file or folder of the host at STAGE/NAME (any number); the command binds it on
 *   --tree FOLDER PATH         show FOLDER/PATH at STAGE/tree, unless there is a symbolic link in PATH
 *   -- COMMAND ARGS
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Exit code of this program's own failures, which it has explained on stderr. */
#define EXIT_OWN 125
/* Every host has this folder; it is covered in the new mount namespace only. */
#define STAGE "/tmp"
#define IDS 65536
#define MAX_SHARES 64
#define MAX_PROCESSES 4096

struct share {
	const char *from;
	/* Below `from`, without any link; null where `from` itself is shown. */
	const char *beneath;
	const char *name;
	int fd;
};

struct options {
	pid_t parent;
	unsigned long uid;
	unsigned long gid;
	int network;
	struct share shares[MAX_SHARES];
	int share_count;
	char **command;
};

static void die(const char *verb, const char *operand)
{
	fprintf(stderr, "Cannot %s \"%s\": %s\n", verb, operand, strerror(errno));
	exit(EXIT_OWN);
}

static void must(int result, const char *verb, const char *operand)
{
	if (result < 0)
		die(verb, operand);
}

static void usage(void)
{
	errno = EINVAL;
	die("read", "options");
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0')
		usage();
	return value;
}

static int is(const char *argument, const char *option)
{
	return argument != NULL && strcmp(argument, option) == 0;
}

static void add_share(struct options *options, struct share share)
{
	if (share.from == NULL || share.name == NULL || options->share_count == MAX_SHARES)
		usage();
	options->shares[options->share_count++] = share;
}

static void read_options(char **at, struct options *options)
{
	if (!is(at[0], "--parent") || !at[1] || !is(at[2], "--uids") || !at[3] || !is(at[4], "--gids") || !at[5])
		usage();
	options->parent = (pid_t)number(at[1]);
	options->uid = number(at[3]);
	options->gid = number(at[5]);
	at += 6;
	if (is(*at, "--network")) {
		options->network = 1;
		at++;
	}
	for (; is(*at, "--share"); at += 3)
		add_share(options, (struct share){ .from = at[1], .name = at[1] ? at[2] : NULL });
	if (is(*at, "--tree")) {
		if (!at[1] || !at[2])
			usage();
		add_share(options, (struct share){ .from = at[1], .beneath = at[2], .name = "tree" });
		at += 3;
	}
	if (!is(*at, "--") || at[1] == NULL)
		usage();
	options->command = at + 1;
}

/* A parent that is gone already is one that has died. */
static void die_with(pid_t parent)
{
	must(prctl(PR_SET_PDEATHSIG, SIGKILL), "watch", "parent");
	if (getppid() != parent) {
		errno = ESRCH;
		die("watch", "parent");
	}
}

static void write_map(pid_t pid, const char *name, unsigned long first)
{
	char path[64], map[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	snprintf(map, sizeof(map), "0 %lu %d", first, IDS);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	must(fd, "open", path);
	must((int)write(fd, map, strlen(map)), "write", name);
	close(fd);
}

static void run_map_tool(const char *tool, pid_t pid, unsigned long self, unsigned long first)
{
	char id[24], own[24], from[24], count[24];
	int status;
	pid_t child;

	snprintf(id, sizeof(id), "%d", (int)pid);
	snprintf(own, sizeof(own), "%lu", self);
	snprintf(from, sizeof(from), "%lu", first);
	snprintf(count, sizeof(count), "%d", IDS - 1);
	child = fork();
	must(child, "start", tool);
	if (child == 0) {
		execlp(tool, tool, id, "0", own, "1", "1", from, count, (char *)NULL);
		die("run", tool);
	}
	must(waitpid(child, &status, 0), "wait for", tool);
	if (status != 0) {
		errno = EPERM;
		die("map ids by", tool);
	}
}

static void map_ids(pid_t pid, const struct options *options)
{
	if (geteuid() == 0) {
		write_map(pid, "uid_map", options->uid);
		write_map(pid, "gid_map", options->gid);
		return;
	}
	run_map_tool("newuidmap", pid, geteuid(), options->uid);
	run_map_tool("newgidmap", pid, getegid(), options->gid);
}

/* Opened before anything is covered, and in the mount namespace that they are mounted from. */
static void open_shares(struct options *options)
{
	for (int i = 0; i < options->share_count; i++) {
		struct share *share = &options->shares[i];

		share->fd = open(share->from, O_PATH | O_CLOEXEC);
		must(share->fd, "open", share->from);
		if (share->beneath != NULL) {
			struct open_how how = {
				.flags = O_PATH | O_CLOEXEC | O_DIRECTORY,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
			};
			int fd = (int)syscall(SYS_openat2, share->fd, share->beneath, &how, sizeof(how));

			must(fd, "open", share->beneath);
			close(share->fd);
			share->fd = fd;
		}
	}
}

static void mount_shares(const struct options *options)
{
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "make private", "/");
	must(mount("tmpfs", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m"), "mount", STAGE);
	for (int i = 0; i < options->share_count; i++) {
		const struct share *share = &options->shares[i];
		char source[64], target[256];
		struct stat found;

		snprintf(source, sizeof(source), "/proc/self/fd/%d", share->fd);
		snprintf(target, sizeof(target), STAGE "/%s", share->name);
		must(fstat(share->fd, &found), "look at", share->from);
		if (S_ISDIR(found.st_mode))
			must(mkdir(target, 0755), "make", target);
		else
			must(mknod(target, S_IFREG | 0644, 0), "make", target);
		must(mount(source, target, NULL, MS_BIND | MS_REC, NULL), "show", share->from);
	}
}

/* What a build may take at most of what has no other bound. */
static void limit(void)
{
	const struct rlimit processes = { MAX_PROCESSES, MAX_PROCESSES }, none = { 0, 0 };

	must(setrlimit(RLIMIT_NPROC, &processes), "limit", "processes");
	must(setrlimit(RLIMIT_CORE, &none), "limit", "core files");
}

static void enter(struct options *options, int ready, int mapped)
{
	int is_root = geteuid() == 0, flags = CLONE_NEWUSER | (options->network ? 0 : CLONE_NEWNET);
	pid_t parent = getppid();
	char byte;

	die_with(parent);
	/* Root shows what only root can reach; anybody else is as mighty in a user namespace of his own. */
	if (is_root) {
		must(unshare(CLONE_NEWNS), "enter", "mount namespace");
		open_shares(options);
		mount_shares(options);
		limit();
		must(unshare(flags), "enter", "user namespace");
	} else {
		limit();
		must(unshare(flags | CLONE_NEWNS), "enter", "user namespace");
	}
	must((int)write(ready, "x", 1), "tell", "parent");
	if (read(mapped, &byte, 1) != 1)
		exit(EXIT_OWN);
	must(setgroups(0, NULL), "leave", "groups");
	must(setresgid(0, 0, 0), "become", "group 0");
	must(setresuid(0, 0, 0), "become", "user 0");
	/* Becoming another user has taken it back. */
	die_with(parent);
	if (!is_root) {
		open_shares(options);
		mount_shares(options);
	}
	must(chdir("/"), "enter", "/");
	execvp(options->command[0], options->command);
	die("run", options->command[0]);
}

int main(int argc, char **argv)
{
	static struct options options;
	int ready[2], mapped[2], status;
	char byte;
	pid_t child;

	(void)argc;
	read_options(argv + 1, &options);
	die_with(options.parent);
	must(pipe2(ready, O_CLOEXEC), "make", "pipe");
	must(pipe2(mapped, O_CLOEXEC), "make", "pipe");
	child = fork();
	must(child, "start", "child");
	if (child == 0) {
		close(mapped[1]);
		enter(&options, ready[1], mapped[0]);
	}
	close(ready[1]);
	close(mapped[0]);
	if (read(ready[0], &byte, 1) == 1) {
		map_ids(child, &options);
		must((int)write(mapped[1], "x", 1), "tell", "child");
	}
	must(waitpid(child, &status, 0), "wait for", "child");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
