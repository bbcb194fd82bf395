/*
 * Starts one command in a cage: a process that has nothing, sees nothing, and dies with whoever started it.
 *
 * Two processes come of it. The first waits in the namespaces of its parent and passes on how the second ended; the
 * second is process 1 of namespaces of its own and becomes the command. Both ask for SIGKILL at the end of their
 * parent, and look afterwards whether it is still there: a parent that died before the call would never be noticed.
 *
 * Options come in the order in which they are listed below; all values are the caller's, who is trusted.
 *
 *   --parent PID          whose end is ours
 *   --cgroup FILE         write 0 there, before anything else is done (any number)
 *   --namespaces          mount, process, network, IPC, host name and cgroup namespaces; unprivileged: a user namespace
 *   --network FILE        join this network namespace instead of an empty one of its own; "host" keeps the caller's
 *   --bind FROM TO        show a file or a folder of the host, read-only (any number)
 *   --writable FROM TO    show a file that may be written (any number)
 *   --device FROM TO      show a device (any number)
 *   --link TARGET PATH    make a symbolic link (any number)
 *   --limit NUMBER VALUE  set a resource limit (any number)
 *   --user UID GID        become this user, of no other group
 *   --seccomp FD          filter system calls by the program that is read from there
 *   --report FD           tell there the process id of the command, once it has been started
 *   --keep COUNT          of descriptors from 0 on; the others are closed
 *   -- COMMAND ARGS
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
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

#include "options.h"

/* The command could not be run. */
#define EXIT_EXEC 127
#define MAX_FILTER_BYTES 65536
/* The one folder that every host has; it is covered in the new mount namespace only. */
#define BASE "/proc"

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	must(fd, "open", path);
	must(write(fd, text, strlen(text)), "write to", path);
	close(fd);
}

static void die_with_parent(void)
{
	must(prctl(PR_SET_PDEATHSIG, SIGKILL), "ask for the end of", "the parent");
}

static void read_filter(void)
{
	static char bytes[MAX_FILTER_BYTES];
	size_t size = 0;
	ssize_t got;

	while ((got = read(cage.seccomp_fd, bytes + size, sizeof bytes - size)) > 0)
		size += got;
	must(got, "read", "the filter");
	if (size == 0 || size % sizeof(struct sock_filter) != 0) {
		errno = EINVAL;
		die("use", "the filter");
	}
	cage.filter.len = size / sizeof(struct sock_filter);
	cage.filter.filter = (struct sock_filter *)bytes;
}

/* Who is not root makes a user namespace first, in which it is allowed the others, and stays who it is. */
static void enter_user_namespace(void)
{
	char map[64];
	uid_t uid = geteuid();
	gid_t gid = getegid();

	must(unshare(CLONE_NEWUSER), "make", "a user namespace");
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof map, "%u %u 1", uid, uid);
	write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof map, "%u %u 1", gid, gid);
	write_file("/proc/self/gid_map", map);
}

static void enter_namespaces(void)
{
	int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

	if (geteuid() != 0)
		enter_user_namespace();
	if (!cage.network)
		flags |= CLONE_NEWNET;
	else if (strcmp(cage.network, "host")) {
		int fd = open(cage.network, O_RDONLY | O_CLOEXEC);

		must(fd, "open", cage.network);
		must(setns(fd, CLONE_NEWNET), "join", cage.network);
		close(fd);
	}
	must(unshare(flags), "make", "namespaces");
}

/* A copy of what is mounted there, not yet to be seen anywhere: the root that shows it goes away before it appears. */
static void take(struct entry *entry)
{
	struct mount_attr attributes = { .attr_set = MOUNT_ATTR_NOSUID };

	if (entry->kind == LINK)
		return;
	if (entry->kind == BIND)
		attributes.attr_set |= MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV;
	else
		attributes.attr_set |= MOUNT_ATTR_NOEXEC | (entry->kind == WRITABLE ? MOUNT_ATTR_NODEV : 0);
	entry->fd = open_tree(AT_FDCWD, entry->from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	must(entry->fd, "take", entry->from);
	must(mount_setattr(entry->fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes), "protect", entry->from);
}

/* The folders above a path. */
static void make_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			die("make", path);
		*slash = '/';
	}
}

static void show(const struct entry *entry)
{
	char to[PATH_MAX];
	struct stat found;

	snprintf(to, sizeof to, ".%s", entry->to);
	make_folders(to);
	if (entry->kind == LINK) {
		if (symlink(entry->from, to) < 0 && errno != EEXIST)
			die("link", entry->to);
		return;
	}
	must(fstat(entry->fd, &found), "look at", entry->from);
	if (S_ISDIR(found.st_mode)) {
		if (mkdir(to, 0755) < 0 && errno != EEXIST)
			die("make", entry->to);
	} else {
		int fd = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);

		must(fd, "make", entry->to);
		close(fd);
	}
	must(move_mount(entry->fd, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH), "show", entry->from);
}

/* A root that holds the entries and nothing else, and in which nothing can be written. */
static void change_root(void)
{
	struct mount_attr attributes = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };

	must(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL), "part from", "the host's mounts");
	for (size_t i = 0; i < cage.entry_count; i++)
		take(&cage.entries[i]);
	must(mount("tmpfs", BASE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m"), "make", "the root");
	must(chdir(BASE), "enter", "the root");
	umask(0);
	for (size_t i = 0; i < cage.entry_count; i++)
		show(&cage.entries[i]);
	must(syscall(SYS_pivot_root, ".", "."), "change to", "the root");
	must(umount2(".", MNT_DETACH), "leave", "the host's root");
	must(chdir("/"), "enter", "the root");
	must(mount_setattr(AT_FDCWD, "/", 0, &attributes, sizeof attributes), "protect", "the root");
	must(sethostname("machine", 7), "name", "the machine");
}

static void become_user(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2];

	memset(none, 0, sizeof none);
	/* Who may not do this has none of them, and gets none without new privileges. */
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (cage.has_user) {
		must(setgroups(0, NULL), "leave", "all groups");
		must(setresgid(cage.gid, cage.gid, cage.gid), "become", "the group");
		must(setresuid(cage.uid, cage.uid, cage.uid), "become", "the user");
	}
	must(syscall(SYS_capset, &header, none), "drop", "all capabilities");
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "forgo", "new privileges");
}

/* All but what is told to be kept, and two that are needed until the command is there and close by themselves. */
static void close_others(int first, int second)
{
	if (first > second) {
		int swap = first;

		first = second;
		second = swap;
	}
	for (int fd = cage.keep; fd < first; fd++)
		close(fd);
	for (int fd = first + 1; fd < second; fd++)
		close(fd);
	must(close_range(second + 1, ~0U, 0), "close", "other descriptors");
}

/* Ends in the command. `alive` hangs up with the parent (-1: that is the caller); `started` is closed by exec, or told of a failure. */
static void run_command(int alive, int started)
{
	struct pollfd parent = { .fd = alive, .events = 0 };

	if (cage.namespaces)
		change_root();
	for (size_t i = 0; i < cage.limit_count; i++) {
		struct rlimit limit = { cage.limits[i].value, cage.limits[i].value };

		must(setrlimit(cage.limits[i].number, &limit), "set", "a limit");
	}
	become_user();
	/* Now, since whoever becomes another user is taken off the list. */
	die_with_parent();
	if (alive >= 0 ? poll(&parent, 1, 0) != 0 : getppid() != cage.parent)
		_exit(EXIT_CAGE);
	if (cage.seccomp_fd >= 0)
		must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &cage.filter), "set", "the filter");
	execv(cage.command[0], cage.command);
	fprintf(stderr, "vmlet-cage: cannot run \"%s\": %s\n", cage.command[0], strerror(errno));
	must(write(started, "", 1), "tell", "the parent");
	_exit(EXIT_EXEC);
}

static pid_t command;

/* The caller's way to end the command: a process id that is only ours to reap cannot have become another's. */
static void end_command(int signal)
{
	(void)signal;
	kill(command, SIGKILL);
}

/* Waits for the command as its user, whose end it could not bring about otherwise, and ends as it did. */
static void watch(int started)
{
	char failed;
	int status;

	signal(SIGTERM, end_command);
	become_user();
	die_with_parent();
	if (getppid() != cage.parent)
		_exit(EXIT_CAGE);
	if (read(started, &failed, 1) == 0 && cage.report_fd >= 0)
		dprintf(cage.report_fd, "%d\n", command);
	close_range(0, ~0U, 0);
	while (waitpid(command, &status, 0) < 0)
		if (errno != EINTR)
			_exit(EXIT_CAGE);
	if (WIFSIGNALED(status)) {
		signal(WTERMSIG(status), SIG_DFL);
		raise(WTERMSIG(status));
	}
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_CAGE);
}

int main(int argc, char **argv)
{
	int alive[2], started[2];

	(void)argc;
	parse(argv + 1);
	die_with_parent();
	if (getppid() != cage.parent)
		return EXIT_CAGE;
	for (size_t i = 0; i < cage.cgroup_count; i++)
		write_file(cage.cgroups[i], "0");
	if (cage.seccomp_fd >= 0)
		read_filter();
	must(pipe2(alive, O_CLOEXEC), "make", "a pipe");
	must(pipe2(started, O_CLOEXEC), "make", "a pipe");
	if (!cage.namespaces) {
		if (cage.report_fd >= 0)
			dprintf(cage.report_fd, "%d\n", getpid());
		close_others(alive[0], started[1]);
		run_command(-1, started[1]);
	}
	enter_namespaces();
	command = fork();
	must(command, "start", "a process");
	if (command == 0) {
		close_others(alive[0], started[1]);
		run_command(alive[0], started[1]);
	}
	close(alive[0]);
	close(started[1]);
	watch(started[0]);
}
