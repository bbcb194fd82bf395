/*
 * init0: PID 1 of a vmlet machine. It makes the root, takes orders over a virtio-serial port, starts the launcher
 * (init1), passes its reports and output on, reaps, and powers the machine off. One thread, one epoll loop, no timer,
 * no heap of its own; the only deadline is the loop's timeout while the machine halts. Frames and messages are in
 * docs/formats/frames.md, the way through this file and the drawing of its states in README.md beside it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <linux/random.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

#include "btrfs.h"
#include "distribution.h"
#include "failure.h"
#include "frames.h"
#include "freeze.h"
#include "network.h"
#include "root.h"
#include "stage.h"
#include "wire.h"

#define VERSION "0.1.0"
#define PORT_NAME "vmlet.control"

enum { LOG_BYTES = 16384, ENTROPY_BYTES = 512, MAX_ARGV = 64, MAX_ENV = 1024, MAX_DNS = 3 };
enum { KILL_MS = 2000, DRAIN_MS = 2000 }; /* for killed processes to vanish, for the host to read the last frames */

/* The life of a machine, and the phase that a failure in each state is reported under. */
enum state { BOOTING, WAITING, STARTING, READY, LOADING, SERVING, FROZEN, STOPPING, KILLING, DRAINING, OFF };
static const char *const phases[] = {"boot",  "configure", "ready", "load", "load", "serve",
                                     "resume", "halt",      "halt",  "halt", "halt"};
static enum state state = BOOTING, frozen_in;
static int64_t deadline_ms; /* by CLOCK_MONOTONIC; counts from STOPPING on */
static bool host_test;      /* --host-test: no mounts, modules, network, clock, reboot */
static bool has_card;       /* "network" on the kernel's command line */
static bool first_stage, second_stage; /* see stage.h; a machine with the kit's drive has no stages */
static bool distribution;              /* see distribution.h */

/* What is read. `ready` says that a read may find something: edges set it, EAGAIN and the end clear it. */
struct source {
  int fd;
  bool ready;
  const char *name;
  size_t room, have, owed; /* owed: what lay in it when the launcher exited; `exited` comes after that */
  char *buffer;            /* one byte longer than `room`, for the parser's NUL */
};
static char port_in[FRAME_ROOM + 1], control_in[FRAME_ROOM + 1], out_in[LOG_BYTES + 1], err_in[LOG_BYTES + 1];
static struct source port = {.fd = -1, .name = "the host", .buffer = port_in, .room = FRAME_ROOM};
static struct source control = {.fd = -1, .name = "the launcher", .buffer = control_in, .room = FRAME_ROOM};
static struct source out = {.fd = -1, .name = "stdout", .buffer = out_in, .room = LOG_BYTES};
static struct source err = {.fd = -1, .name = "stderr", .buffer = err_in, .room = LOG_BYTES};
static struct source children = {.fd = -1};
static int epoll_fd = -1;

/*
 * What is written. Nothing is read that could make a frame for the host unless `to_host` is empty: it never holds more
 * than one passed-on frame and a few small ones, and a program that writes faster than the host reads blocks on its own
 * pipe; nothing is dropped. `to_launcher` takes one `load` and one `halt`.
 */
static char host_out[FRAME_ROOM + 16 * LOG_BYTES], launcher_out[2 * FRAME_ROOM];
static struct queue to_host = {.fd = -1, .data = host_out, .room = sizeof host_out};
static struct queue to_launcher = {.fd = -1, .data = launcher_out, .room = sizeof launcher_out};

static pid_t launcher; /* 0: not started, or reaped */
static pid_t wire;     /* the child that serves the wire */
static int wire_fd = -1;
static int launcher_status;
static bool launcher_speaks, exit_owed, children_left, terminated;

static int64_t now_us(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- what init0 reads of the host's messages ---- */

static struct {
  char *type, *hostname, *machine_id, *entropy, *address, *gateway, *device;
  int64_t sec, nsec, prefix, grace_ms;
  bool has_network, has_code;
  char *argv[MAX_ARGV + 1], *env[MAX_ENV + 2], *dns[MAX_DNS + 1];
} order;
static const struct field fields[] = {
    {"", "type", TEXT, &order.type, MAX_FRAME_BYTES, NULL, ""},
    {"configure", "hostname", TEXT, &order.hostname, 63, NULL, "1 to 63 characters"},
    {"configure", "machineId", TEXT, &order.machine_id, 32, NULL, "32 hexadecimal digits"},
    {"configure", "entropy", TEXT, &order.entropy, 2 * ENTROPY_BYTES, NULL, "32 to 512 bytes in hexadecimal"},
    {"configure", "clock.sec", INTEGER, &order.sec, INT64_C(1) << 40, NULL, "seconds since 1970"},
    {"configure", "clock.nsec", INTEGER, &order.nsec, 999999999, NULL, "0 to 999999999"},
    {"", "network", FLAG, &order.has_network, 0, NULL, ""},
    {"configure", "network.address", TEXT, &order.address, 15, &order.has_network, "an IPv4 address"},
    {"configure", "network.prefix", INTEGER, &order.prefix, 32, &order.has_network, "0 to 32"},
    {"configure", "network.gateway", TEXT, &order.gateway, 15, &order.has_network, "an IPv4 address"},
    {"", "network.dns[]", LIST, order.dns, MAX_DNS, NULL, ""},
    {"configure", "launcher.argv[]", LIST, order.argv, MAX_ARGV, NULL, "1 to 64 texts"},
    {"", "launcher.env{}", LIST, order.env, MAX_ENV, NULL, ""},
    {"", "code", FLAG, &order.has_code, 0, NULL, ""},
    {"load", "code.device", TEXT, &order.device, 64, &order.has_code, "a device"},
    {"thaw", "hostname", TEXT, &order.hostname, 63, NULL, "1 to 63 characters"},
    {"thaw", "machineId", TEXT, &order.machine_id, 32, NULL, "32 hexadecimal digits"},
    {"thaw", "entropy", TEXT, &order.entropy, 2 * ENTROPY_BYTES, NULL, "32 to 512 bytes in hexadecimal"},
    {"thaw", "clock.sec", INTEGER, &order.sec, INT64_C(1) << 40, NULL, "seconds since 1970"},
    {"thaw", "clock.nsec", INTEGER, &order.nsec, 999999999, NULL, "0 to 999999999"},
    {"clock", "clock.sec", INTEGER, &order.sec, INT64_C(1) << 40, NULL, "seconds since 1970"},
    {"clock", "clock.nsec", INTEGER, &order.nsec, 999999999, NULL, "0 to 999999999"},
    {"halt", "graceMs", INTEGER, &order.grace_ms, 600000, NULL, "0 to 600000"},
};
static struct frame_reader reader;

/* Whether all that messages of this type must have has come. */
static bool order_complete(const char *type) {
  if (reader.excess) return fail(0, "FIELD_INVALID", "Cannot read \"%s\": too many items or no text", reader.excess);
  for (const struct field *field = fields; field < fields + COUNT(fields); field++) {
    if (strcmp(field->type, type) != 0 || (field->only_if && !*field->only_if)) continue;
    if (field->kind == INTEGER ? *(int64_t *)field->to >= 0 : *(char **)field->to != NULL) continue;
    return fail(0, "FIELD_INVALID", "Cannot read \"%s\": missing or unfit, expected %s", field->path, field->expected);
  }
  return true;
}

/* Reports the noted failure; before the machine is up on the console as well, for the host may not hear yet. */
static void send_failed(void) {
  if (state == BOOTING) dprintf(STDERR_FILENO, "init0: %s: %s\n", failure.code, failure.message);
  put_frame(&to_host, "{'type':'failed','phase':%s,'code':%s,'message':%s,'detail':%s}", phases[state], failure.code,
             failure.message, failure.detail);
}

/* ---- the root ---- */

/* Those of the folder `network` only for a machine that has a card: three of twelve, a fifth of the time. */
static bool insert_modules(void) {
  char order_file[8192] = "", path[300];
  if (read_file("/modules/order", order_file, sizeof order_file - 1) < 0)
    return fail(errno, "MODULE_FAILED", "Cannot read \"/modules/order\"");
  for (char *name = strtok(order_file, "\n"); name; name = strtok(NULL, "\n")) {
    snprintf(path, sizeof path, "/modules/%.255s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool wanted = has_card || strncmp(name, "network/", 8) != 0;
    if (fd < 0 || (wanted && syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST))
      return fail(errno, "MODULE_FAILED", "Cannot insert module \"%s\"", path);
    close(fd);
    unlink(path); /* gives its memory back: the initramfs stays under the root for good */
  }
  return true;
}

/* A port's device, open; -1 if it is not there. No udev runs that would name it. */
static int find_port(const char *port_name) {
  int found = -1;
  DIR *ports = opendir("/sys/class/virtio-ports");
  for (struct dirent *entry; found < 0 && ports && (entry = readdir(ports));) {
    char path[300], name[64] = "";
    snprintf(path, sizeof path, "/sys/class/virtio-ports/%s/name", entry->d_name);
    if (read_file(path, name, sizeof name - 1) < 0) continue;
    name[strcspn(name, "\n")] = '\0';
    if (strcmp(name, port_name) != 0) continue;
    snprintf(path, sizeof path, "/dev/%s", entry->d_name);
    found = open(path, O_RDWR | O_CLOEXEC);
  }
  if (ports) closedir(ports);
  return found;
}

/*
 * From the kernel's hand-over to an open port. QEMU announces the ports of a virtio-serial device by messages once the
 * module is in, so a port may appear later: the kernel's own events say when to look again.
 */
static bool open_machine(void) {
  struct sockaddr_nl kernel_events = {.nl_family = AF_NETLINK, .nl_groups = 1};
  char event[4096];
  if (second_stage)
    return ((port.fd = find_port(PORT_NAME)) >= 0 && (wire_fd = find_port(WIRE_PORT_NAME)) >= 0) ||
           fail(errno, "PORT_FAILED", "Cannot find the ports \"" PORT_NAME "\" and \"" WIRE_PORT_NAME "\"");
  if (!mount_rows(early_rows, COUNT(early_rows))) return false;
  int events = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
  if (events < 0 || bind(events, (struct sockaddr *)&kernel_events, sizeof kernel_events) != 0)
    return fail(errno, "PORT_FAILED", "Cannot listen to kernel events");
  if (!insert_modules()) return false;
  while ((port.fd < 0 && (port.fd = find_port(PORT_NAME)) < 0) || (wire_fd = find_port(WIRE_PORT_NAME)) < 0)
    if (recv(events, event, sizeof event, 0) < 0 && errno != ENOBUFS)
      return fail(errno, "PORT_FAILED", "Cannot wait for the ports \"" PORT_NAME "\" and \"" WIRE_PORT_NAME "\"");
  close(events);
  return true;
}

static bool mount_root(void) {
  char source[PATH_MAX], target[PATH_MAX];
  struct utsname kernel;
  uname(&kernel);
  snprintf(source, sizeof source, KIT "/modules/%s", kernel.release);
  snprintf(target, sizeof target, "/lib/modules/%s", kernel.release);
  if (!(distribution ? mount_distribution() : mount_rows(root_rows, COUNT(root_rows)))) return false;
  if (chdir("/root") != 0 || mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0 || chdir("/") != 0)
    return fail(errno, "MOUNT_FAILED", "Cannot move \"/root\" to \"/\"");
  /* From here on the symbolic links of the image lead into the image. */
  if (distribution) return furnish_distribution();
  if (!mount_rows(inner_rows, COUNT(inner_rows))) return false;
  if (first_stage)
    return fail(become_image_init(), "INIT_FAILED", "Cannot start \"" IMAGE_INIT "\" of the image, expected the one that "
                "\"vmlet runtime init-files\" writes");
  if (!mount_row(kit_row)) return false;
  return access(source, F_OK) != 0 || mount_row((struct mount_row){source, target, "", MS_BIND, NULL});
}

/* ---- configure ---- */

static bool apply_entropy(void) {
  struct {
    int entropy_bits, size; /* as struct rand_pool_info, whose array has no length */
    unsigned char bytes[ENTROPY_BYTES];
  } pool = {0};
  for (const char *digit = order.entropy; *digit; digit += 2) sscanf(digit, "%2hhx", &pool.bytes[pool.size++]);
  pool.entropy_bits = 8 * pool.size;
  int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
  bool ok = fd >= 0 && ioctl(fd, RNDADDENTROPY, &pool) == 0 && ioctl(fd, RNDRESEEDCRNG) == 0;
  if (!ok) fail(errno, "ENTROPY_FAILED", "Cannot seed \"/dev/urandom\"");
  if (fd >= 0) close(fd);
  explicit_bzero(&pool, sizeof pool);
  explicit_bzero(order.entropy, strlen(order.entropy));
  return ok;
}

static bool apply_clock(void) {
  struct timespec now = {.tv_sec = order.sec, .tv_nsec = order.nsec};
  if (clock_settime(CLOCK_REALTIME, &now) == 0) return true;
  return fail(errno, "CLOCK_FAILED", "Cannot set the clock to %lld s", (long long)order.sec);
}

/* Replaces whatever is there: in many images /etc/resolv.conf is a link to what a service would write. */
static int create_file(const char *path) {
  unlink(path);
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) fail(errno, "WRITE_FAILED", "Cannot make \"%s\"", path);
  return fd;
}

/* What tells one clone from another. The files stay open: to make them anew takes a clone most of its start. */
static bool apply_name(void) {
  static struct {
    const char *path, *format;
    int fd;
  } files[] = {{"/etc/machine-id", "%2$s\n", -1},
               {"/etc/hostname", "%1$s\n", -1},
               {"/etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.0.1\t%1$s\n", -1}};
  char text[256];
  if (sethostname(order.hostname, strlen(order.hostname)) != 0)
    return fail(errno, "HOSTNAME_FAILED", "Cannot set hostname \"%s\"", order.hostname);
  for (size_t i = 0; i < COUNT(files); i++) {
    if (files[i].fd < 0 && (files[i].fd = create_file(files[i].path)) < 0) return false;
    int n = snprintf(text, sizeof text, files[i].format, order.hostname, order.machine_id);
    if (pwrite(files[i].fd, text, (size_t)n, 0) != n || ftruncate(files[i].fd, n) != 0)
      return fail(errno, "WRITE_FAILED", "Cannot write \"%s\"", files[i].path);
  }
  return true;
}

static bool apply_identity(void) {
  char resolvers[MAX_DNS * 32] = "";
  for (char **server = order.dns; *server; server++) {
    size_t used = strlen(resolvers);
    snprintf(resolvers + used, sizeof resolvers - used, "nameserver %.15s\n", *server);
  }
  if (!make_path("/etc") || !apply_name()) return false;
  int fd = create_file("/etc/resolv.conf");
  bool ok = fd >= 0 && write(fd, resolvers, strlen(resolvers)) >= 0;
  if (fd >= 0) close(fd);
  return ok;
}

/* ---- the launcher ---- */

static bool watch(struct source *source, int fd) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = source};
  source->fd = fd;
  return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0 &&
         epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* Without the wire nobody reaches the program: its end is the machine's. */
static bool start_wire(void) {
  if (wire_fd < 0) return true; /* --host-test without one */
  if ((wire = fork()) < 0) return fail(errno, "WIRE_FAILED", "Cannot make a process for the wire");
  if (wire == 0) {
    dup2(wire_fd, 3);
    close_range(4, ~0U, 0);
    environ = order.env;
    wire_serve(3);
  }
  close(wire_fd);
  return true;
}

/* The child's side. A good exec closes `report`, a bad one sends errno through it. */
static _Noreturn void become_launcher(const int fds[4], int report) {
  sigset_t none;
  sigemptyset(&none);
  report = fcntl(report, F_DUPFD_CLOEXEC, 16); /* out of the way of what follows */
  setsid();
  tell_kernel(PROGRAM_GROUP "/cgroup.procs", "0"); /* where that is not there, freezing says so */
  for (int i = 0; i < 4; i++) {
    dup2(fds[i], i);
    fcntl(i, F_SETFD, 0); /* dup2 onto itself keeps CLOEXEC */
  }
  close_range(4, ~0U, CLOSE_RANGE_CLOEXEC); /* whatever else there is */
  environ = order.env;
  sigprocmask(SIG_SETMASK, &none, NULL);
  execvp(order.argv[0], order.argv);
  int error = errno, status = error == ENOENT || error == ENOTDIR ? 127 : 126;
  if (write(report, &error, sizeof error) < 0) status = 126;
  _exit(status);
}

static bool start_launcher(void) {
  int in = open("/dev/null", O_RDONLY | O_CLOEXEC), outs[2], errs[2], report[2], pair[2], error = 0;
  if (in < 0 || pipe2(outs, O_CLOEXEC) != 0 || pipe2(errs, O_CLOEXEC) != 0 || pipe2(report, O_CLOEXEC) != 0 ||
      socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0 || !watch(&out, outs[0]) || !watch(&err, errs[0]) ||
      !watch(&control, pair[0]) || (launcher = fork()) < 0)
    return fail(errno, "EXEC_FAILED", "Cannot prepare to start \"%s\"", order.argv[0]);
  const int theirs[] = {in, outs[1], errs[1], pair[1], report[1]};
  if (launcher == 0) become_launcher(theirs, report[1]);
  for (size_t i = 0; i < COUNT(theirs); i++) close(theirs[i]);
  to_launcher.fd = control.fd;
  children_left = true;
  bool failed = read(report[0], &error, sizeof error) == (ssize_t)sizeof error; /* lasts until the exec */
  close(report[0]);
  if (!failed) return true;
  const char *hint = error == ENOENT && access(order.argv[0], F_OK) == 0 ? ", which exists, with its interpreter" : "";
  fail(error, "EXEC_FAILED", "Cannot start \"%s\"%s", order.argv[0], hint);
  send_failed();
  return true; /* `exited` with 127 or 126 follows */
}

/* ---- halting ---- */

static void halt_state(enum state next, int64_t limit_ms) {
  state = next;
  deadline_ms = now_us(CLOCK_MONOTONIC) / 1000 + limit_ms;
}

static void advance_halt(void) {
  bool late = now_us(CLOCK_MONOTONIC) / 1000 >= deadline_ms, was_draining = state == DRAINING;
  bool quiet = !children_left && !exit_owed && out.fd < 0 && err.fd < 0; /* nothing runs, all was said */
  if (state == STOPPING && late && !quiet) {
    kill(-1, SIGKILL);
    halt_state(KILLING, KILL_MS);
  } else if (state == STOPPING && launcher == 0 && children_left && !terminated) {
    terminated = true; /* only now: what the launcher started may have served it to the last */
    kill(-1, SIGTERM);
  } else if ((state == STOPPING && quiet) || (state == KILLING && (quiet || late))) {
    if (!host_test) umount2("/opt/code", MNT_DETACH), sync();
    put_frame(&to_host, "{'type':'halted'}");
    queue_flush(&to_host);
    halt_state(DRAINING, DRAIN_MS);
  }
  if (state == DRAINING && (queue_empty(&to_host) || (late && was_draining))) state = OFF;
}

/* ---- messages ---- */

static bool take_configure(char *frame, size_t length) {
  size_t digits = strlen(order.entropy);
  if (digits < 64 || digits % 2 != 0 || strspn(order.entropy, "0123456789abcdef") != digits)
    return fail(0, "FIELD_INVALID", "Cannot read \"entropy\": %zu digits, expected 64 to 1024 in hexadecimal", digits);
  struct network network = {order.address, order.gateway, order.prefix};
  if (!host_test && !(apply_entropy() && apply_clock() && apply_identity() &&
                      apply_network(order.has_network ? &network : NULL)))
    return false;
  explicit_bzero(frame + HEADER_BYTES, length - HEADER_BYTES); /* the seed is in it */
  if (!start_wire()) return false;
  char **last = order.env;
  while (*last) last++;
  last[0] = "VMLET_CONTROL_FD=3", last[1] = NULL;
  state = STARTING;
  return start_launcher();
}

static bool take_load(char *frame, size_t length) {
  if (control.fd < 0) return fail(0, "LAUNCHER_GONE", "Cannot load: the launcher has exited, expected it to run");
  struct mount_row row = {order.device, "/opt/code", "drive", MS_RDONLY | MS_NOSUID | MS_NODEV, NULL};
  if (order.has_code && !host_test && !mount_row(row)) return false;
  queue_put(&to_launcher, frame, length);
  state = LOADING;
  return true;
}

/* What only the file cache holds is read again by who needs it; what is primed after this is not in it for nothing. */
static bool take_prepare(char *frame, size_t length) {
  if (!host_test && !tell_kernel("/proc/sys/vm/drop_caches", "3"))
    return fail(errno, "FREEZE_FAILED", "Cannot drop the file cache");
  queue_put(&to_launcher, frame, length);
  return true;
}

static bool take_freeze(char *frame, size_t length) {
  (void)frame, (void)length;
  if (!host_test) clear_free_memory();
  if (!freeze_program(true)) return fail(errno, "FREEZE_FAILED", "Cannot freeze \"" PROGRAM_GROUP "\"");
  frozen_in = state;
  state = FROZEN;
  put_frame(&to_host, "{'type':'frozen'}");
  return true;
}

/* From here on this machine is another one than its siblings. Only then is an instruction of the program run again. */
static bool take_thaw(char *frame, size_t length) {
  if (!host_test && !(apply_entropy() && apply_clock() && apply_name())) return false;
  explicit_bzero(frame + HEADER_BYTES, length - HEADER_BYTES); /* the seed is in it */
  if (!freeze_program(false)) return fail(errno, "THAW_FAILED", "Cannot thaw \"" PROGRAM_GROUP "\"");
  state = frozen_in;
  return true;
}

static bool take_resume(char *frame, size_t length) {
  queue_put(&to_launcher, frame, length);
  return true;
}

/* The clock stood still with the machine; its other clocks did so too, and go on from there. */
static bool take_clock(char *frame, size_t length) {
  (void)frame, (void)length;
  if (!host_test && !apply_clock()) return false;
  put_frame(&to_host, "{'type':'clocked'}");
  return true;
}

static bool take_halt(char *frame, size_t length) {
  if (launcher_speaks && control.fd >= 0) queue_put(&to_launcher, frame, length);
  else if (launcher > 0 && order.grace_ms > 0) kill(-launcher, SIGTERM);
  halt_state(STOPPING, order.grace_ms);
  return true;
}

#define IN(state) (1u << (state))
static const struct {
  const char *type;
  unsigned states;
  bool (*take)(char *frame, size_t length);
} orders[] = {
    {"configure", IN(WAITING), take_configure},
    {"load", IN(STARTING) | IN(READY), take_load},
    {"prepare", IN(READY) | IN(SERVING), take_prepare},
    {"freeze", IN(READY) | IN(SERVING), take_freeze},
    {"thaw", IN(FROZEN), take_thaw},
    {"resume", IN(READY) | IN(SERVING), take_resume},
    {"clock", IN(SERVING), take_clock},
    {"halt", IN(WAITING) | IN(STARTING) | IN(READY) | IN(LOADING) | IN(SERVING), take_halt},
};

static void take_order(char *frame, size_t length) {
  for (size_t i = 0; i < COUNT(orders); i++) {
    if (strcmp(orders[i].type, order.type) != 0 || !(orders[i].states & IN(state))) continue;
    if (state == STARTING && orders[i].take == take_load) state = READY; /* what fails now, fails in loading */
    /* Half configured, or a clone without an identity of its own, it is good for nothing. */
    bool fatal = orders[i].take == take_configure || orders[i].take == take_thaw;
    if (order_complete(order.type) && orders[i].take(frame, length)) return;
    send_failed();
    if (fatal) halt_state(STOPPING, 0);
    return;
  }
  fail(0, "MESSAGE_UNEXPECTED", "Cannot take message \"%.64s\": not its turn in phase %s", order.type, phases[state]);
  send_failed();
}

/* Passes on what a launcher may say, as it came; all else would be a forgery of what init0 says. */
static void take_report(char *frame, size_t length) {
  static const char *const known[] = {"ready", "loaded", "prepared", "resumed", "failed", "mark"};
  bool ready = strcmp(order.type, "ready") == 0, loaded = strcmp(order.type, "loaded") == 0, passes = false;
  launcher_speaks = true;
  for (size_t i = 0; i < COUNT(known); i++) passes |= strcmp(order.type, known[i]) == 0;
  if (!passes) {
    fail(0, "MESSAGE_UNEXPECTED", "Cannot pass on \"%.64s\", expected what a launcher reports", order.type);
    send_failed();
    return;
  }
  if (ready && state == STARTING) state = READY;
  if (loaded && state == LOADING) state = SERVING;
  queue_put(&to_host, frame, length);
}

/* ---- the loop ---- */

static void close_source(struct source *source) {
  if (source == &control) to_launcher.start = to_launcher.end = 0;
  close(source->fd); /* and with it its place in the epoll set */
  source->fd = -1;
  source->ready = false;
  source->owed = 0;
}

/* One read. True if bytes came. */
static bool fill(struct source *source) {
  ssize_t n = read(source->fd, source->buffer + source->have, source->room - source->have);
  if (n > 0) {
    source->have += (size_t)n;
    source->owed -= source->owed < (size_t)n ? source->owed : (size_t)n;
    return true;
  }
  source->ready = false;
  source->owed = 0;
  if (source == &port && n == 0) source->have = 0; /* the host hung up; one that comes back begins with a whole frame */
  if (source != &port && (n == 0 || errno != EAGAIN)) close_source(source);
  return false;
}

/* Takes at most one frame. True if more can be done at once. */
static bool take_frame(struct source *source, void (*take)(char *frame, size_t length)) {
  enum breach breach;
  if (source->fd < 0 || !queue_empty(&to_host)) return false;
  size_t length = read_frame(&reader, source->buffer, source->have, &breach);
  if (length == 0 && breach == NO_BREACH) {
    if (!source->ready || !fill(source)) return false;
    length = read_frame(&reader, source->buffer, source->have, &breach);
  }
  if (breach != NO_BREACH) {
    fail(0, breaches[breach][0], "Cannot read frame of %s: %s", source->name, breaches[breach][1]);
    send_failed();
    if (source != &port) close_source(source);
    source->fd = -1; /* nothing is read of it any more; `to_host` goes on */
    if (source == &port && state < STOPPING) halt_state(STOPPING, 0);
    return false;
  }
  if (length == 0) return true;
  if (!order.type) order.type = ""; /* one that is empty or holds a NUL */
  take(source->buffer, length);
  source->have -= length;
  memmove(source->buffer, source->buffer + length, source->have);
  return true;
}

/* Passes on what one read of the output gives; the beginning of a character waits for its rest. */
static bool take_output(struct source *source) {
  if (source->fd < 0 || !source->ready || !queue_empty(&to_host)) return false;
  if (!fill(source) && source->fd >= 0) return false;
  size_t held = source->fd >= 0 ? utf8_cut(source->buffer, source->have) : 0, whole = source->have - held;
  if (whole > 0)
    put_frame(&to_host, "{'type':'log','stream':%s,'timeUs':%d,'text':%t}", source->name, now_us(CLOCK_REALTIME),
              source->buffer, whole);
  memmove(source->buffer, source->buffer + whole, held);
  source->have = held;
  return source->ready;
}

/* Reaps all that ended. What lies in the launcher's pipes at its end goes to the host before `exited`. */
static void reap(void) {
  struct source *const sources[] = {&out, &err, &control};
  struct signalfd_siginfo info;
  int status, bytes;
  pid_t pid;
  while (read(children.fd, &info, sizeof info) > 0) continue;
  children.ready = false;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    if (pid == wire && state < STOPPING) {
      fail(0, "WIRE_FAILED", "Cannot carry requests: the wire ended with status 0x%x, expected it to run", status);
      send_failed();
      halt_state(STOPPING, 0);
    }
    if (pid != launcher) continue;
    launcher = 0;
    launcher_status = status;
    exit_owed = true;
    for (size_t i = 0; i < COUNT(sources); i++)
      if (sources[i]->fd >= 0 && ioctl(sources[i]->fd, FIONREAD, &bytes) == 0) sources[i]->owed = (size_t)bytes;
  }
  children_left = pid == 0;
}

static void send_exited(void) {
  int status = launcher_status, number = WTERMSIG(status);
  char name[24];
  exit_owed = false;
  snprintf(name, sizeof name, "SIG%s", sigabbrev_np(number) ? sigabbrev_np(number) : "");
  if (number >= SIGRTMIN) snprintf(name, sizeof name, "SIGRTMIN+%d", number - SIGRTMIN);
  if (WIFSIGNALED(status)) put_frame(&to_host, "{'type':'exited','role':'launcher','code':null,'signal':%s}", name);
  if (WIFSIGNALED(status)) return;
  put_frame(&to_host, "{'type':'exited','role':'launcher','code':%d,'signal':null}", (int64_t)WEXITSTATUS(status));
}

/* One round of all that can go on. True if there may be more to do without a new event. */
static bool step(void) {
  if (children.ready) reap();
  queue_flush(&to_host);
  bool more = take_frame(&port, take_order);
  more |= take_frame(&control, take_report);
  more |= take_output(&out);
  more |= take_output(&err);
  if (exit_owed && queue_empty(&to_host) && out.owed + err.owed + control.owed == 0) send_exited();
  if (state >= STOPPING) advance_halt();
  queue_flush(&to_host);
  queue_flush(&to_launcher);
  return more && queue_empty(&to_host);
}

static void run(void) {
  struct epoll_event events[8];
  for (bool more = true; state != OFF; more = step()) {
    int64_t left_ms = deadline_ms + 1 - now_us(CLOCK_MONOTONIC) / 1000;
    int timeout_ms = more ? 0 : state < STOPPING ? -1 : left_ms > 0 ? (int)left_ms : 0;
    int n = epoll_wait(epoll_fd, events, COUNT(events), timeout_ms);
    for (int i = 0; i < n; i++)
      if (events[i].events & ~(uint32_t)EPOLLOUT) ((struct source *)events[i].data.ptr)->ready = true;
  }
}

static bool start_loop(void) {
  sigset_t all, child;
  sigfillset(&all); /* no call is ever interrupted, and a launcher that closes its end is an EPIPE */
  sigprocmask(SIG_SETMASK, &all, NULL);
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  to_host.fd = port.fd;
  int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  if (epoll_fd >= 0 && signals >= 0 && watch(&children, signals) && watch(&port, port.fd)) return true;
  return fail(errno, "LOOP_FAILED", "Cannot watch descriptors");
}

static _Noreturn void power_off(void) {
  if (host_test) _exit(0);
  reboot(RB_POWER_OFF); /* QEMU ends with "guest-shutdown"; a panic would be a "guest-reset" */
  _exit(1);
}

static void say_hello(void) {
  struct utsname kernel;
  uname(&kernel);
  put_frame(&to_host, "{'type':'hello','protocol':%d,'version':%s,'kernel':%s,'uptimeUs':%d}", INT64_C(1), VERSION,
            kernel.release, now_us(CLOCK_BOOTTIME));
}

int main(int argc, char **argv) {
  if (getpid() != 1) {
    dprintf(STDERR_FILENO, "init0: Cannot run: process %d, expected PID 1 (see README.md on --host-test)\n", getpid());
    return 64;
  }
  reader.fields = fields; /* not by an initializer, which would put the arena into the binary */
  reader.count = COUNT(fields);
  host_test = argc >= 3 && strcmp(argv[1], "--host-test") == 0;
  has_card = argc == 2 && strcmp(argv[1], "network") == 0;
  if (host_test) port.fd = atoi(argv[2]);
  if (host_test && argc == 4) wire_fd = atoi(argv[3]);
  first_stage = !host_test && is_first_stage();
  distribution = !host_test && is_distribution();
  second_stage = is_second_stage(argc, argv);
  if ((!host_test && !open_machine()) || !start_loop()) {
    send_failed(); /* to the console: there is no port */
    power_off();
  }
  bool made = host_test || second_stage || mount_root();
  if (made) say_hello();
  if (made && (!distribution || become_distribution(&to_host))) {
    state = WAITING;
  } else {
    send_failed();
    halt_state(STOPPING, 0);
  }
  run();
  power_off();
}
