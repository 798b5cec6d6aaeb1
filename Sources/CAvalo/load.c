#include "avalo_load.h"

#include <errno.h>
#include <sched.h>
#include <time.h>

int avalo_epoll_wait(int epoll, struct epoll_event *events, int count, int64_t nanoseconds) {
  struct timespec timeout = {nanoseconds / 1000000000, nanoseconds % 1000000000};
  int ready = epoll_pwait2(epoll, events, count, nanoseconds < 0 ? NULL : &timeout, NULL);
  if (ready < 0 && (errno == ENOSYS || errno == EPERM)) {
    // Older kernels and some seccomp filters: whole milliseconds, rounded up so that nothing spins.
    ready = epoll_wait(epoll, events, count, nanoseconds < 0 ? -1 : (int)((nanoseconds + 999999) / 1000000));
  }
  return ready;
}

int avalo_pin_thread(int tid, int core) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  return sched_setaffinity(tid, sizeof cores, &cores) == 0 ? 0 : errno;
}
