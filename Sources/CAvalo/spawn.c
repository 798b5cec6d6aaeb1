#include "avalo_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Between fork and exec only the child's own thread exists, and any lock of the parent may be held for ever: nothing
// here allocates or takes a lock. glibc's setuid family signals threads it believes to exist, so those are raw calls.

struct failure {
  int error;
  int step;
};

static void fail(int pipe, enum avalo_spawn_step step) {
  struct failure failure = {errno, step};
  ssize_t ignored = write(pipe, &failure, sizeof failure);
  (void)ignored;
  _exit(127);
}

static void complete_pid(char **entry, const char *name, char *buffer, pid_t pid) {
  size_t length = strlen(name);
  if (strncmp(*entry, name, length) != 0) return;
  char digits[12];
  int count = 0;
  do {
    digits[count++] = (char)('0' + pid % 10);
    pid /= 10;
  } while (pid > 0);
  memcpy(buffer, name, length);
  while (count > 0) buffer[length++] = digits[--count];
  buffer[length] = 0;
  *entry = buffer;
}

// The inherited descriptors may lie in each other's places: first all move above the last place, then down.
static int place_descriptors(const struct avalo_spawn *what, int *moved, int *pipe) {
  int output = what->standard_output, error = what->standard_error;
  int end = 3 + what->descriptor_count;
  if ((*pipe = fcntl(*pipe, F_DUPFD_CLOEXEC, end)) < 0) return -1;
  if (output >= 0 && (output = fcntl(output, F_DUPFD_CLOEXEC, end)) < 0) return -1;
  if (error >= 0 && (error = fcntl(error, F_DUPFD_CLOEXEC, end)) < 0) return -1;
  for (int i = 0; i < what->descriptor_count; i++) {
    if ((moved[i] = fcntl(what->descriptors[i], F_DUPFD_CLOEXEC, end)) < 0) return -1;
  }
  for (int i = 0; i < what->descriptor_count; i++) {
    if (dup2(moved[i], 3 + i) < 0) return -1;
  }
  if (output >= 0 && dup2(output, STDOUT_FILENO) < 0) return -1;
  if (error >= 0 && dup2(error, STDERR_FILENO) < 0) return -1;
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0 || dup2(null, STDIN_FILENO) < 0) return -1;
  // Ours are close-on-exec anyway; this is for what a library left open.
  if (syscall(SYS_close_range, end, ~0U, CLOSE_RANGE_CLOEXEC) == 0) return 0;
  for (int fd = end; fd < 65536; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
  return 0;
}

static int set_limit(const struct avalo_spawn_limit *wanted) {
  struct rlimit limit = {wanted->value, wanted->value};
  if (setrlimit(wanted->resource, &limit) == 0) return 0;
  if (errno != EPERM || getrlimit(wanted->resource, &limit) != 0) return -1;
  limit.rlim_cur = wanted->value < limit.rlim_max ? wanted->value : limit.rlim_max;
  return setrlimit(wanted->resource, &limit);
}

static void child(const struct avalo_spawn *what, char **environment, int *moved, pid_t parent, int pipe) {
  char listen_pid[32], watchdog_pid[32];

  // A handler of the parent's must not run here, and what it ignores the child need not. Raw, because glibc keeps the
  // first two real-time signals to itself; all zero is the default action, however the kernel's struct is laid out.
  unsigned long plain[8] = {0};
  for (int signal = 1; signal < NSIG; signal++) syscall(SYS_rt_sigaction, signal, plain, NULL, 8);

  // A group of its own: Ctrl-C is for the supervisor, which then stops its workers in order.
  if (setpgid(0, 0) != 0) fail(pipe, AVALO_SPAWN_GROUP);
  if (place_descriptors(what, moved, &pipe) != 0) fail(pipe, AVALO_SPAWN_DESCRIPTORS);
  for (int i = 0; i < what->limit_count; i++) {
    if (set_limit(&what->limits[i]) != 0) fail(pipe, AVALO_SPAWN_LIMIT);
  }
  if (what->change_user) {
    if (syscall(SYS_setgroups, what->group_count, what->groups) != 0 ||
        syscall(SYS_setresgid, what->group, what->group, what->group) != 0 ||
        syscall(SYS_setresuid, what->user, what->user, what->user) != 0)
      fail(pipe, AVALO_SPAWN_USER);
  }
  // After the change of user, which clears it. The parent may have died before: then nobody will tell us.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail(pipe, AVALO_SPAWN_PARENT);
  if (getppid() != parent) _exit(127);
  if (what->directory && chdir(what->directory) != 0) fail(pipe, AVALO_SPAWN_DIRECTORY);

  for (char **entry = environment; *entry; entry++) {
    complete_pid(entry, "LISTEN_PID=", listen_pid, getpid());
    complete_pid(entry, "WATCHDOG_PID=", watchdog_pid, getpid());
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  execve(what->path, what->arguments, environment);
  fail(pipe, AVALO_SPAWN_EXECUTE);
}

// clone3 gives the process's descriptor atomically. Kernels and sandboxes without it get fork and pidfd_open, which is
// as safe, because nobody but us can reap the child.
static pid_t fork_with_descriptor(int *descriptor) {
  int from_clone = -1;
  struct clone_args arguments;
  memset(&arguments, 0, sizeof arguments);
  arguments.flags = CLONE_PIDFD;
  arguments.pidfd = (uintptr_t)&from_clone;
  arguments.exit_signal = SIGCHLD;
  pid_t pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid < 0 && (errno == ENOSYS || errno == EPERM || errno == EINVAL)) {
    pid = fork();
    if (pid > 0) from_clone = (int)syscall(SYS_pidfd_open, pid, 0);
  }
  *descriptor = from_clone;
  return pid;
}

int avalo_spawn_start(const struct avalo_spawn *what, struct avalo_spawned *spawned) {
  pid_t parent = getpid();
  int ends[2];
  spawned->pid = -1;
  spawned->descriptor = -1;
  spawned->failed_step = AVALO_SPAWN_FORK;

  size_t variables = 0;
  while (what->environment[variables]) variables++;
  // On the stack, so that the child can change its copy. A thousand variables are 8 KiB.
  char *environment[variables + 1];
  memcpy(environment, what->environment, sizeof environment);
  int moved[what->descriptor_count + 1];

  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int descriptor = -1;
  pid_t pid = fork_with_descriptor(&descriptor);
  if (pid == 0) child(what, environment, moved, parent, ends[1]);
  int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    errno = error;
    return -1;
  }

  // The pipe closes with the exec, or carries what went wrong before it.
  struct failure failure;
  ssize_t count;
  do count = read(ends[0], &failure, sizeof failure);
  while (count < 0 && errno == EINTR);
  close(ends[0]);
  if (count == 0 && descriptor >= 0) {
    spawned->pid = pid;
    spawned->descriptor = descriptor;
    return 0;
  }
  if (count != sizeof failure) {
    failure.error = descriptor < 0 ? error : EIO;
    failure.step = AVALO_SPAWN_FORK;
    kill(pid, SIGKILL);
  }
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
  }
  if (descriptor >= 0) close(descriptor);
  spawned->failed_step = failure.step;
  errno = failure.error;
  return -1;
}

int avalo_signal_process(int descriptor, int signal) {
  return (int)syscall(SYS_pidfd_send_signal, descriptor, signal, NULL, 0);
}

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

int avalo_reap(int descriptor, pid_t pid, struct avalo_ending *ending) {
  siginfo_t info;
  memset(&info, 0, sizeof info);
  if (waitid((idtype_t)P_PIDFD, (id_t)descriptor, &info, WEXITED | WNOHANG | WNOWAIT) != 0) return -1;
  if (info.si_pid == 0) return 0;
  // Still a zombie, so its number is its own: what it left behind goes with it.
  kill(-pid, SIGKILL);
  if (waitid((idtype_t)P_PIDFD, (id_t)descriptor, &info, WEXITED | WNOHANG) != 0) return -1;
  ending->code = info.si_status;
  ending->killed = info.si_code != CLD_EXITED;
  ending->dumped_core = info.si_code == CLD_DUMPED;
  return 1;
}

void avalo_reap_orphans(const pid_t *own, int count) {
  // Those of ours that are zombies hide others behind them in waitid(P_ALL): a child found is skipped by looking no
  // further; the next SIGCHLD looks again.
  for (;;) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
    for (int i = 0; i < count; i++) {
      if (own[i] == info.si_pid) return;
    }
    waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG);
  }
}

// SCM_MAX_FD: the kernel passes no more at a time.
enum { passed_max = 253 };

static ssize_t receive(int descriptor, void *buffer, size_t size, struct ucred *sender, int *passed, int *count) {
  union {
    char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int) * passed_max)];
    struct cmsghdr align;
  } control;
  struct iovec bytes = {buffer, size};
  struct msghdr message;
  memset(&message, 0, sizeof message);
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  *count = 0;
  ssize_t length;
  do length = recvmsg(descriptor, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC);
  while (length < 0 && errno == EINTR);
  if (length < 0) return -1;
  for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET) continue;
    if (part->cmsg_type == SCM_CREDENTIALS) memcpy(sender, CMSG_DATA(part), sizeof *sender);
    if (part->cmsg_type == SCM_RIGHTS) {
      size_t length = part->cmsg_len - CMSG_LEN(0);
      memcpy(passed + *count, CMSG_DATA(part), length);
      *count += (int)(length / sizeof(int));
    }
  }
  return length;
}

ssize_t avalo_receive_notification(int descriptor, void *buffer, size_t size, uid_t *user) {
  for (;;) {
    struct ucred sender = {0, (uid_t)-1, (gid_t)-1};
    int passed[passed_max], count;
    ssize_t length = receive(descriptor, buffer, size, &sender, passed, &count);
    if (length < 0) return -1;
    // systemd-notify waits until the descriptor of its BARRIER=1 is closed.
    for (int i = 0; i < count; i++) close(passed[i]);
    *user = sender.uid;
    if ((size_t)length <= size && sender.uid != (uid_t)-1) return length;
  }
}

ssize_t avalo_receive_with_descriptors(int descriptor, void *buffer, size_t size, int *passed, int *count) {
  struct ucred sender;
  ssize_t length = receive(descriptor, buffer, size, &sender, passed, count);
  return length > (ssize_t)size ? (ssize_t)size : length;
}

int avalo_set_reuse_port(int descriptor) {
  int on = 1;
  return setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
}

int avalo_usable_processors(void) {
  // The kernel refuses a set smaller than its own; 8 192 processors fit this one.
  unsigned long set[1024 / sizeof(unsigned long)];
  memset(set, 0, sizeof set);
  long bytes = syscall(SYS_sched_getaffinity, 0, sizeof set, set);
  if (bytes < 0) return (int)sysconf(_SC_NPROCESSORS_ONLN);
  int count = 0;
  for (size_t i = 0; i < sizeof set / sizeof *set; i++) count += __builtin_popcountl(set[i]);
  return count;
}

int avalo_memory_file(const char *name) { return memfd_create(name, MFD_CLOEXEC); }
