#include "include/avalo_reactor.h"

#include <errno.h>
#include <string.h>

int avalo_epoll_control(int epoll, int operation, int descriptor, uint32_t events, uint64_t token) {
  struct epoll_event event = {.events = events, .data.u64 = token};
  return epoll_ctl(epoll, operation, descriptor, &event) == 0 ? 0 : -errno;
}

const void *avalo_find(const void *haystack, size_t haystack_bytes, const void *needle, size_t needle_bytes) {
  return memmem(haystack, haystack_bytes, needle, needle_bytes);
}

static uint32_t rotate_left(uint32_t word, unsigned bits) { return word << bits | word >> (32 - bits); }

static void sha1_block(uint32_t state[5], const uint8_t block[64]) {
  uint32_t words[80];
  for (int i = 0; i < 16; i++)
    words[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 |
               block[4 * i + 3];
  for (int i = 16; i < 80; i++) words[i] = rotate_left(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);

  uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
  for (int i = 0; i < 80; i++) {
    uint32_t mix, constant;
    if (i < 20) mix = (b & c) | (~b & d), constant = 0x5A827999;
    else if (i < 40) mix = b ^ c ^ d, constant = 0x6ED9EBA1;
    else if (i < 60) mix = (b & c) | (b & d) | (c & d), constant = 0x8F1BBCDC;
    else mix = b ^ c ^ d, constant = 0xCA62C1D6;
    uint32_t next = rotate_left(a, 5) + mix + e + constant + words[i];
    e = d, d = c, c = rotate_left(b, 30), b = a, a = next;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

void avalo_sha1(const uint8_t *bytes, size_t count, uint8_t digest[20]) {
  uint32_t state[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
  size_t whole = count / 64 * 64, rest = count - whole;
  for (size_t at = 0; at < whole; at += 64) sha1_block(state, bytes + at);

  uint8_t tail[128] = {0}; /* the rest, a one bit, zeros, the length in bits: one block or two */
  if (rest) memcpy(tail, bytes + whole, rest);
  tail[rest] = 0x80;
  size_t tail_bytes = rest < 56 ? 64 : 128;
  uint64_t bits = (uint64_t)count * 8;
  for (int i = 0; i < 8; i++) tail[tail_bytes - 1 - i] = (uint8_t)(bits >> (8 * i));
  for (size_t at = 0; at < tail_bytes; at += 64) sha1_block(state, tail + at);

  for (int i = 0; i < 20; i++) digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

void avalo_websocket_accept(const uint8_t key[24], uint8_t accept[28]) {
  static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  uint8_t message[24 + sizeof guid - 1];
  memcpy(message, key, 24);
  memcpy(message + 24, guid, sizeof guid - 1);

  uint8_t digest[21] = {0}; /* one byte of padding: 20 bytes become 27 characters and '=' */
  avalo_sha1(message, sizeof message, digest);
  for (int i = 0, out = 0; i < 21; i += 3) {
    uint32_t group = (uint32_t)digest[i] << 16 | (uint32_t)digest[i + 1] << 8 | digest[i + 2];
    for (int shift = 18; shift >= 0; shift -= 6) accept[out++] = alphabet[group >> shift & 63];
  }
  accept[27] = '=';
}
