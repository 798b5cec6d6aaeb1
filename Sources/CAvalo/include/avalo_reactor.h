#pragma once
/* What the data plane needs from C: system names that Swift does not import, and SHA-1 for the WebSocket handshake. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* epoll_ctl(2) with the event built here; 0, or -errno. */
int avalo_epoll_control(int epoll, int operation, int descriptor, uint32_t events, uint64_t token);

/* memmem(3), which is a GNU name. */
const void *avalo_find(const void *haystack, size_t haystack_bytes, const void *needle, size_t needle_bytes);

/* FIPS 180-4 SHA-1. Only for RFC 6455 §4.2.2, which is not a use that needs collision resistance. */
void avalo_sha1(const uint8_t *bytes, size_t count, uint8_t digest[20]);

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key of 24 characters: 28 characters of base64 (RFC 6455 §4.2.2). */
void avalo_websocket_accept(const uint8_t key[24], uint8_t accept[28]);
