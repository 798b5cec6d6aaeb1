#include "avalo_system.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// Per signal the write end of its pipe, plus one: 0 is "none". Written before the handler is installed.
static _Atomic int signal_pipe[NSIG];

static void on_signal(int signo) {
  int saved = errno;
  int fd = atomic_load_explicit(&signal_pipe[signo], memory_order_relaxed) - 1;
  if (fd >= 0) {
    // A full pipe holds thousands of unread signals: one more says nothing new.
    unsigned char number = (unsigned char)signo;
    ssize_t ignored = write(fd, &number, 1);
    (void)ignored;
  }
  errno = saved;
}

int avalo_signal_pipe(const int *signals, int count) {
  int ends[2];
  for (int i = 0; i < count; i++) {
    if (signals[i] < 1 || signals[i] >= NSIG) {
      errno = EINVAL;
      return -1;
    }
  }
  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  // Only the handler's end must never block.
  if (fcntl(ends[1], F_SETFL, O_NONBLOCK) != 0) goto failed;

  sigset_t set;
  sigemptyset(&set);
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigfillset(&action.sa_mask);
  for (int i = 0; i < count; i++) {
    atomic_store(&signal_pipe[signals[i]], ends[1] + 1);
    if (sigaction(signals[i], &action, NULL) != 0) goto failed;
    sigaddset(&set, signals[i]);
  }
  if ((errno = pthread_sigmask(SIG_UNBLOCK, &set, NULL)) != 0) goto failed;
  return ends[0];

failed:;
  int saved = errno;
  for (int i = 0; i < count; i++) atomic_store(&signal_pipe[signals[i]], 0);
  close(ends[0]);
  close(ends[1]);
  errno = saved;
  return -1;
}

void avalo_ignore_sigpipe(void) { signal(SIGPIPE, SIG_IGN); }

int avalo_peer_credentials(int fd, pid_t *pid, uid_t *uid, gid_t *gid) {
  struct ucred credentials;
  socklen_t length = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return -1;
  *pid = credentials.pid;
  *uid = credentials.uid;
  *gid = credentials.gid;
  return 0;
}

void avalo_name_thread(const char *name) {
  char kept[16];
  strncpy(kept, name, sizeof kept - 1);
  kept[sizeof kept - 1] = 0;
  pthread_setname_np(pthread_self(), kept);
}

const char *avalo_error_text(int code, char *buffer, size_t size) { return strerror_r(code, buffer, size); }
