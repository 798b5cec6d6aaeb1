// AvaloSupervisor: starting a process, which must not run Swift between fork and exec.
#pragma once
#include <stddef.h>
#include <sys/types.h>

/// A resource limit of the new process, as in setrlimit(2). Raising one without the right to clamps it to the hard limit.
struct avalo_spawn_limit {
  int resource;
  unsigned long long value;
};

/// What to start and with what. Everything belongs to the caller and must live until `avalo_spawn_start` returns.
struct avalo_spawn {
  const char *path;
  char *const *arguments;
  /// An entry `LISTEN_PID=` or `WATCHDOG_PID=` is completed with the new process's id.
  char *const *environment;

  /// These become descriptors 3, 4, …; everything above them is closed.
  const int *descriptors;
  int descriptor_count;
  /// What becomes standard output and error, or -1 to inherit ours. Standard input is /dev/null.
  int standard_output;
  int standard_error;

  /// The working folder, or NULL to inherit.
  const char *directory;
  const struct avalo_spawn_limit *limits;
  int limit_count;

  /// Whether to become another user; `groups` are the supplementary ones.
  int change_user;
  uid_t user;
  gid_t group;
  const gid_t *groups;
  int group_count;
};

/// The step in which the child failed. In the order in which they are taken.
enum avalo_spawn_step {
  AVALO_SPAWN_FORK,
  AVALO_SPAWN_GROUP,
  AVALO_SPAWN_DESCRIPTORS,
  AVALO_SPAWN_LIMIT,
  AVALO_SPAWN_USER,
  AVALO_SPAWN_PARENT,
  AVALO_SPAWN_DIRECTORY,
  AVALO_SPAWN_EXECUTE,
};

struct avalo_spawned {
  pid_t pid;
  /// Readable when the process has ended; the caller's to close. Close-on-exec.
  int descriptor;
  enum avalo_spawn_step failed_step;
};

/// Starts a process in a process group of its own, with default signal handlers and an empty signal mask, which the
/// kernel kills when the *calling thread* ends (PR_SET_PDEATHSIG): call it on a thread that lives as long as the
/// process. Returns 0 once the program runs, or -1 with errno and `failed_step`; then nothing is left to wait for.
int avalo_spawn_start(const struct avalo_spawn *what, struct avalo_spawned *spawned);

/// Sends a signal to the process of a descriptor: never to another that got its number. 0, or -1 and errno.
int avalo_signal_process(int descriptor, int signal);

/// How a process ended.
struct avalo_ending {
  /// The exit code, or the signal that killed it.
  int code;
  int killed;
  int dumped_core;
};

/// Takes the ending of the process of a descriptor, after killing what is left of its process group. 1 when it has
/// ended, 0 when it still runs, -1 and errno.
int avalo_reap(int descriptor, pid_t pid, struct avalo_ending *ending);

/// Takes the endings of orphans that became ours because we are process 1 of a container; `own` are left alone.
void avalo_reap_orphans(const pid_t *own, int count);

/// Receives one datagram with its sender's user id (SO_PASSCRED); descriptors that came with it are closed, one longer
/// than `size` is thrown away. Its length, or -1 and errno (EAGAIN when there is none).
ssize_t avalo_receive_notification(int descriptor, void *buffer, size_t size, uid_t *user);

/// Receives one datagram with the descriptors that came with it, which are the caller's (close-on-exec): at most
/// SCM_MAX_FD, 253. Its length, or -1 and errno.
ssize_t avalo_receive_with_descriptors(int descriptor, void *buffer, size_t size, int *passed, int *count);

/// Lets several sockets listen at one address (SO_REUSEPORT), so that the kernel spreads connections. 0, or -1 and errno.
int avalo_set_reuse_port(int descriptor);

/// Processors this process may run on (sched_getaffinity(2)).
int avalo_usable_processors(void);

/// A file in memory, close-on-exec (memfd_create(2)): what a child reads without a trace on disk. -1 and errno.
int avalo_memory_file(const char *name);
