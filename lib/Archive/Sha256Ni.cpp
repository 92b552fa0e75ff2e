// SHA-256 by x86's SHA instructions: about five times the portable code.
//
// sha256rnds2 does two rounds on a state kept as two vectors, {A,B,E,F} and {C,D,G,H} with the first letter in the
// highest lane; sha256msg1 and sha256msg2 make four words of the message schedule (Intel SDM, volume 2, SHA256*).
#include "lib/Archive/Sha256.h"
#include "lib/Archive/Sha256Blocks.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

namespace qopt {

bool sha256HasInstructions() {
  unsigned a, b, c, d;
  // SSE4.1 and SSSE3 for the shuffles. None of them needs state beyond the SSE registers that every x86-64 system
  // saves.
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSE4_1) || !(c & bit_SSSE3))
    return false;
  constexpr unsigned shaBit = 1u << 29;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & shaBit);
}

__attribute__((target("sha,sse4.1,ssse3"))) void sha256CompressNi(uint32_t *state, const std::byte *blocks,
                                                                  size_t count) {
  const __m128i swapBytes = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  auto *words = reinterpret_cast<__m128i *>(state);
  __m128i dcba = _mm_loadu_si128(words);
  __m128i hgfe = _mm_loadu_si128(words + 1);
  __m128i cdab = _mm_shuffle_epi32(dcba, 0xB1);
  __m128i efgh = _mm_shuffle_epi32(hgfe, 0x1B);
  __m128i abef = _mm_alignr_epi8(cdab, efgh, 8);
  __m128i cdgh = _mm_blend_epi16(efgh, cdab, 0xF0);

  for (; count != 0; --count, blocks += 64) {
    const __m128i abefBefore = abef, cdghBefore = cdgh;
    __m128i schedule[4]; // the last 16 words, four to a vector
    for (int i = 0; i < 4; ++i)
      schedule[i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i *>(blocks + 16 * i)), swapBytes);
#pragma clang loop unroll(full)
    for (int step = 0; step < 16; ++step) {
      __m128i &now = schedule[step % 4];
      __m128i sum =
          _mm_add_epi32(now, _mm_load_si128(reinterpret_cast<const __m128i *>(sha256RoundConstants + 4 * step)));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0E));
      if (step < 12) { // the words of step + 4 take this one's place
        const __m128i next = schedule[(step + 1) % 4], last = schedule[(step + 3) % 4];
        __m128i sevenBack = _mm_alignr_epi8(last, schedule[(step + 2) % 4], 4);
        now = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(now, next), sevenBack), last);
      }
    }
    abef = _mm_add_epi32(abef, abefBefore);
    cdgh = _mm_add_epi32(cdgh, cdghBefore);
  }

  __m128i feba = _mm_shuffle_epi32(abef, 0x1B);
  __m128i dchg = _mm_shuffle_epi32(cdgh, 0xB1);
  _mm_storeu_si128(words, _mm_blend_epi16(feba, dchg, 0xF0));
  _mm_storeu_si128(words + 1, _mm_alignr_epi8(dchg, feba, 8));
}

} // namespace qopt

#else

namespace qopt {

bool sha256HasInstructions() { return false; }
void sha256CompressNi(uint32_t *state, const std::byte *blocks, size_t count) {
  sha256CompressPortable(state, blocks, count);
}

} // namespace qopt

#endif
