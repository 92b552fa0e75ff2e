// The portable implementation and the buffering that both share; the other one is Sha256Ni.cpp.
#include "lib/Archive/Sha256.h"

#include "lib/Archive/Sha256Blocks.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace qopt {

alignas(64) const uint32_t sha256RoundConstants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/// The initial hash value (FIPS 180-4, section 5.3.3).
static constexpr std::array<uint32_t, 8> initialState = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

void sha256CompressPortable(uint32_t *state, const std::byte *blocks, size_t count) {
  for (; count != 0; --count, blocks += 64) {
    uint32_t w[64]; // the message schedule
    for (int t = 0; t < 16; ++t) {
      uint32_t word;
      std::memcpy(&word, blocks + 4 * t, 4);
      w[t] = std::endian::native == std::endian::little ? __builtin_bswap32(word) : word;
    }
    for (int t = 16; t < 64; ++t) {
      uint32_t s0 = std::rotr(w[t - 15], 7) ^ std::rotr(w[t - 15], 18) ^ (w[t - 15] >> 3);
      uint32_t s1 = std::rotr(w[t - 2], 17) ^ std::rotr(w[t - 2], 19) ^ (w[t - 2] >> 10);
      w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int t = 0; t < 64; ++t) {
      uint32_t sum1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
      uint32_t choice = (e & f) ^ (~e & g);
      uint32_t t1 = h + sum1 + choice + sha256RoundConstants[t] + w[t];
      uint32_t sum0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
      uint32_t majority = (a & b) ^ (a & c) ^ (b & c);
      uint32_t t2 = sum0 + majority;
      h = g;
      g = f;
      f = e;
      e = d + t1;
      d = c;
      c = b;
      b = a;
      a = t1 + t2;
    }
    const uint32_t working[8] = {a, b, c, d, e, f, g, h};
    for (int i = 0; i < 8; ++i)
      state[i] += working[i];
  }
}

Sha256::Sha256(Sha256Code code)
    : compress(code == Sha256Code::Best && sha256HasInstructions() ? sha256CompressNi : sha256CompressPortable),
      state(initialState) {}

void Sha256::update(std::span<const std::byte> bytes) {
  size_t held = total % 64;
  total += bytes.size();
  if (held != 0) {
    size_t taken = std::min(bytes.size(), 64 - held);
    std::copy_n(bytes.begin(), taken, pending.begin() + held);
    bytes = bytes.subspan(taken);
    if (held + taken < 64)
      return;
    compress(state.data(), pending.data(), 1);
  }
  compress(state.data(), bytes.data(), bytes.size() / 64);
  std::copy(bytes.begin() + bytes.size() / 64 * 64, bytes.end(), pending.begin());
}

Sha256Digest Sha256::finish() {
  // A one bit, zeros up to 8 bytes before a block's end, the length in bits as a big-endian word.
  std::array<std::byte, 72> tail{std::byte{0x80}};
  size_t zerosEnd = (total % 64 < 56 ? 56 : 120) - total % 64;
  uint64_t bits = total * 8;
  for (int i = 0; i < 8; ++i)
    tail[zerosEnd + i] = static_cast<std::byte>(bits >> (56 - 8 * i));
  update(std::span(tail).first(zerosEnd + 8));
  Sha256Digest digest;
  for (size_t i = 0; i < digest.size(); ++i)
    digest[i] = static_cast<uint8_t>(state[i / 4] >> (24 - 8 * (i % 4)));
  return digest;
}

Sha256Digest sha256(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

std::string toString(const Sha256Digest &digest) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text = "sha256:";
  for (uint8_t byte : digest) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

} // namespace qopt
