#ifndef AVALO_LOAD_H
#define AVALO_LOAD_H

// What the load tool needs from the kernel and Swift cannot import: epoll, thread affinity.

#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

/// Waits for events for at most `nanoseconds` (negative: for ever); as epoll_wait(2), but not rounded to milliseconds
/// where the kernel can (5.11). Returns the number of events, or -1 with errno.
int avalo_epoll_wait(int epoll, struct epoll_event *events, int count, int64_t nanoseconds);

/// Binds thread `tid` (0: the caller) to one core. Returns 0, or errno.
int avalo_pin_thread(int tid, int core);

#endif
