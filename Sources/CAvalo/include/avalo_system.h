// AvaloSystem: what Swift cannot import or must not run in a signal handler.
#pragma once
#include <stddef.h>
#include <sys/types.h>

/// Sends every delivery of `signals` as one byte (the number) to a pipe, whose read end is returned; unblocks them in
/// the calling thread. A later call takes over the signals it names. -1 and errno on failure.
int avalo_signal_pipe(const int *signals, int count);

/// Ignores SIGPIPE: writing to a peer that is gone is an error value.
void avalo_ignore_sigpipe(void);

/// The peer's credentials of a connected Unix socket (SO_PEERCRED). 0, or -1 and errno.
int avalo_peer_credentials(int fd, pid_t *pid, uid_t *uid, gid_t *gid);

/// Names the calling thread; the kernel keeps 15 bytes.
void avalo_name_thread(const char *name);

/// strerror(3) for any thread: the text is in `buffer` or constant.
const char *avalo_error_text(int code, char *buffer, size_t size);
