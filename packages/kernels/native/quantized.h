/**
 * Weights in blocks of 32 columns, 8 or 4 bits each and one f32 scale a block: their layout, and how a block is quantized.
 *
 * Sixteen rows stand side by side (a group; the last one is filled up with rows of zeros), so that lane r of a vector is row r
 * and a dot product ends without summing across lanes. A block of a group is, in bytes:
 *
 *     q4  256 codes, 64 scales: line j of 4 has columns 8j…8j+3 in its low halves and 8j+4…8j+7 in its high ones
 *     q8  512 codes, 64 scales: line j of 8 has columns 4j…4j+3
 *
 * Byte 4r + i of a line of 64 is row r, column i of its four; scale r is row r's. Codes are unsigned, with zero at 8 or 127.
 * Blocks of a group follow each other, then comes the next group: a group is one stream of memory, in whole cache lines.
 */
#pragma once

#include "simd.h"

namespace parley {
namespace PARLEY_ISA {

/** Columns that share a scale, and rows that stand side by side. */
constexpr int64_t BLOCK = 32;
constexpr int64_t GROUP = 16;
constexpr int64_t LINE = GROUP * 4;
constexpr int ZERO4 = 8;
constexpr int ZERO8 = 127;

/** Lines of codes, and bytes with the scales, of a group's block. */
constexpr int64_t codeLines(int64_t bits) { return bits == 4 ? 4 : 8; }
constexpr int64_t blockBytes(int64_t bits) { return (codeLines(bits) + 1) * LINE; }

/** max |x| of 32 numbers; NaN if there is one. As integers: so f32 of one sign are in order, NaN above all. */
INLINE float largestMagnitude(const float* x) {
  const Int magnitude = splatInt(0x7fffffff);
  Int m = bits(load(x)) & magnitude;
  for (int i = LANES; i < BLOCK; i += LANES) {
    const Int y = bits(load(x + i)) & magnitude;
    m = m > y ? m : y;
  }
#if defined(__AVX2__)
#if defined(__AVX512F__)
  const __m256i half = _mm256_max_epi32(_mm512_castsi512_si256((__m512i)m), _mm512_extracti64x4_epi64((__m512i)m, 1));
#else
  const __m256i half = (__m256i)m;
#endif
  __m128i quarter = _mm_max_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  quarter = _mm_max_epi32(quarter, _mm_shuffle_epi32(quarter, 0x4e));
  quarter = _mm_max_epi32(quarter, _mm_shuffle_epi32(quarter, 0xb1));
  const int32_t largest = _mm_cvtsi128_si32(quarter);
#else
  int32_t largest = m[0];
  for (int i = 1; i < LANES; i++) largest = m[i] > largest ? m[i] : largest;
#endif
  float result;
  memcpy(&result, &largest, 4);
  return result;
}

/** codes (32) = roundTiesToEven(x / d), −127…127, and d = max|x| / 127; zeros where d is 0. Returns d. */
INLINE float quantizeBlock8(const float* x, int8_t* codes) {
  const float d = largestMagnitude(x) / 127;
  // Anything over ∞ is 0, the code of every number of a block without a scale.
  const Float divisor = splat(d == 0 ? __builtin_inff() : d);
  // With 1.5·2²³ added, a number's last bit is worth 1, so the addition rounds. Codes over 127 come only of scales so small
  // that an f32 has no room for their digits.
  const Float shifter = splat(12582912);
  Int rounded[BLOCK / LANES];
#pragma GCC unroll 8
  for (int i = 0; i < BLOCK / LANES; i++) rounded[i] = bits(load(x + i * LANES) / divisor + shifter) - bits(shifter);
#if defined(__AVX512F__)
  const __m256i bytes = _mm256_set_m128i(_mm512_cvtsepi32_epi8((__m512i)rounded[1]), _mm512_cvtsepi32_epi8((__m512i)rounded[0]));
  _mm256_storeu_si256((__m256i*)codes, _mm256_max_epi8(bytes, _mm256_set1_epi8(-127)));
#elif defined(__AVX2__)
  const __m256i low = _mm256_packs_epi32((__m256i)rounded[0], (__m256i)rounded[1]);
  const __m256i high = _mm256_packs_epi32((__m256i)rounded[2], (__m256i)rounded[3]);
  const __m256i mixed = _mm256_max_epi8(_mm256_packs_epi16(low, high), _mm256_set1_epi8(-127));
  _mm256_storeu_si256((__m256i*)codes, _mm256_permutevar8x32_epi32(mixed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
#elif defined(__SSE2__)
  for (int i = 0; i < 8; i += 4) {
    const __m128i low = _mm_packs_epi32((__m128i)rounded[i], (__m128i)rounded[i + 1]);
    const __m128i high = _mm_packs_epi32((__m128i)rounded[i + 2], (__m128i)rounded[i + 3]);
    const __m128i least = _mm_set1_epi16(-127);
    _mm_storeu_si128((__m128i*)(codes + 4 * i), _mm_packs_epi16(_mm_max_epi16(low, least), _mm_max_epi16(high, least)));
  }
#else
  for (int i = 0; i < BLOCK; i++) {
    const int32_t code = rounded[i / LANES][i % LANES];
    codes[i] = static_cast<int8_t>(code > 127 ? 127 : code < -127 ? -127 : code);
  }
#endif
  return d;
}

}  // namespace PARLEY_ISA
}  // namespace parley
