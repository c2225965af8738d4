/**
 * One vector of floats, as wide as the instruction set has it, and what the kernels do with it. Included by sources that are
 * compiled once for each instruction set, with PARLEY_ISA as the name of the namespace that everything in them lives in:
 * a function that two sets shared under one name would be linked once, for whichever machine.
 *
 * Vectors are GCC's (Clang has them too), so + − · / and comparisons are operators; a comparison gives −1 or 0 in an Int.
 * The build forbids the compiler to contract a·b + c: what is to be fused says `fma`.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#ifndef PARLEY_ISA
#error "compile with -DPARLEY_ISA=avx512, avx2 or baseline"
#endif

#define INLINE static inline __attribute__((always_inline))
#define INLINE_MEMBER inline __attribute__((always_inline))

namespace parley {
namespace PARLEY_ISA {

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX2__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif

typedef float Float __attribute__((vector_size(LANES * 4)));
typedef int32_t Int __attribute__((vector_size(LANES * 4)));
/** The same at any address. */
typedef float LooseFloat __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t LooseInt __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
/** ⌈a / b⌉ for a ≥ 0, b > 0. */
INLINE int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
INLINE int64_t roundUp(int64_t a, int64_t unit) { return ceilDiv(a, unit) * unit; }

INLINE Float splat(float x) {
#if defined(__AVX512F__)
  return (Float)_mm512_set1_ps(x);
#elif defined(__AVX2__)
  return (Float)_mm256_set1_ps(x);
#elif defined(__SSE2__)
  return (Float)_mm_set1_ps(x);
#else
  return (Float){x, x, x, x};
#endif
}
INLINE Int splatInt(int32_t x) {
#if defined(__AVX512F__)
  return (Int)_mm512_set1_epi32(x);
#elif defined(__AVX2__)
  return (Int)_mm256_set1_epi32(x);
#elif defined(__SSE2__)
  return (Int)_mm_set1_epi32(x);
#else
  return (Int){x, x, x, x};
#endif
}

INLINE Int bits(Float x) { return (Int)x; }
INLINE Float fromBits(Int x) { return (Float)x; }

INLINE Float load(const float* p) { return *(const LooseFloat*)p; }
INLINE void store(float* p, Float x) { *(LooseFloat*)p = x; }
INLINE Int loadInt(const int32_t* p) { return *(const LooseInt*)p; }

#if defined(__AVX2__) && !defined(__AVX512F__)
/** −1 in the first `count` lanes. */
INLINE __m256i firstLanes(int64_t count) {
  alignas(32) static const int32_t places[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), *(const __m256i*)places);
}
#endif

/** The first `count` (0…LANES) of the lanes from memory, 0 in the rest. Nothing is read past them. */
INLINE Float load(const float* p, int64_t count) {
#if defined(__AVX512F__)
  return (Float)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), p);
#elif defined(__AVX2__)
  return (Float)_mm256_maskload_ps(p, firstLanes(count));
#else
  Float x = splat(0);
  for (int i = 0; i < LANES; i++) {
    if (i < count) x[i] = p[i];
  }
  return x;
#endif
}
/** Writes the first `count` (0…LANES) lanes. */
INLINE void store(float* p, Float x, int64_t count) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), (__m512)x);
#elif defined(__AVX2__)
  _mm256_maskstore_ps(p, firstLanes(count), (__m256)x);
#else
  for (int i = 0; i < LANES; i++) {
    if (i < count) p[i] = x[i];
  }
#endif
}

/** `mask` is a comparison's result. */
INLINE Float select(Int mask, Float yes, Float no) { return mask ? yes : no; }
/** As `load` with a count, and `rest` in the other lanes. */
INLINE Float loadOr(const float* p, int64_t count, float rest) {
#if defined(__AVX512F__)
  return (Float)_mm512_mask_loadu_ps(_mm512_set1_ps(rest), (__mmask16)((1u << count) - 1), p);
#else
  Float x = splat(rest);
  for (int i = 0; i < LANES; i++) {
    if (i < count) x[i] = p[i];
  }
  return x;
#endif
}

/** a·b + c, rounded once where the machine can. */
INLINE Float fma(Float a, Float b, Float c) {
#if defined(__AVX512F__)
  return (Float)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
  return (Float)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
  return (Float)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return a * b + c;
#endif
}
/** c − a·b, as `fma`. */
INLINE Float nfma(Float a, Float b, Float c) {
#if defined(__AVX512F__)
  return (Float)_mm512_fnmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
  return (Float)_mm256_fnmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
  return (Float)vfmsq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return c - a * b;
#endif
}

/** a where a > b, otherwise b; so b where either is NaN. */
INLINE Float max(Float a, Float b) {
#if defined(__AVX512F__)
  return (Float)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (Float)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
  return (Float)_mm_max_ps((__m128)a, (__m128)b);
#else
  return a > b ? a : b;
#endif
}
/** a where a < b, otherwise b; so b where either is NaN. */
INLINE Float min(Float a, Float b) {
#if defined(__AVX512F__)
  return (Float)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (Float)_mm256_min_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
  return (Float)_mm_min_ps((__m128)a, (__m128)b);
#else
  return a < b ? a : b;
#endif
}
INLINE Float sqrt(Float x) {
#if defined(__AVX512F__)
  return (Float)_mm512_sqrt_ps((__m512)x);
#elif defined(__AVX2__)
  return (Float)_mm256_sqrt_ps((__m256)x);
#elif defined(__SSE2__)
  return (Float)_mm_sqrt_ps((__m128)x);
#else
  return (Float)vsqrtq_f32((float32x4_t)x);
#endif
}
INLINE Float abs(Float x) { return fromBits(bits(x) & splatInt(0x7fffffff)); }

#if defined(__AVX2__)
INLINE __m128 foldTo128(Float x, bool maximum) {
#if defined(__AVX512F__)
  const __m256 low = _mm512_castps512_ps256((__m512)x);
  const __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd((__m512)x), 1));
  const __m256 half = maximum ? _mm256_max_ps(low, high) : _mm256_add_ps(low, high);
#else
  const __m256 half = (__m256)x;
#endif
  const __m128 a = _mm256_castps256_ps128(half), b = _mm256_extractf128_ps(half, 1);
  return maximum ? _mm_max_ps(a, b) : _mm_add_ps(a, b);
}
#endif

/** Sum of the lanes, always in the same order. */
INLINE float sumLanes(Float x) {
#if defined(__AVX2__)
  const __m128 q = foldTo128(x, false);
  const __m128 d = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(d) + _mm_cvtss_f32(_mm_shuffle_ps(d, d, 1));
#else
  return (x[0] + x[2]) + (x[1] + x[3]);
#endif
}
INLINE float maxLanes(Float x) {
#if defined(__AVX2__)
  const __m128 q = foldTo128(x, true);
  const __m128 d = _mm_max_ps(q, _mm_movehl_ps(q, q));
  const float a = _mm_cvtss_f32(d), b = _mm_cvtss_f32(_mm_shuffle_ps(d, d, 1));
  return a > b ? a : b;
#else
  const float a = x[0] > x[2] ? x[0] : x[2], b = x[1] > x[3] ? x[1] : x[3];
  return a > b ? a : b;
#endif
}

/** a₀ b₀ a₁ b₁ … of the first halves of a and b, and of the second. */
INLINE void zip(Float a, Float b, Float& first, Float& second) {
#if defined(__AVX512F__)
  const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const __m512i high = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  first = (Float)_mm512_permutex2var_ps((__m512)a, low, (__m512)b);
  second = (Float)_mm512_permutex2var_ps((__m512)a, high, (__m512)b);
#elif defined(__AVX2__)
  const __m256 even = _mm256_unpacklo_ps((__m256)a, (__m256)b), odd = _mm256_unpackhi_ps((__m256)a, (__m256)b);
  first = (Float)_mm256_permute2f128_ps(even, odd, 0x20);
  second = (Float)_mm256_permute2f128_ps(even, odd, 0x31);
#elif defined(__SSE2__)
  first = (Float)_mm_unpacklo_ps((__m128)a, (__m128)b);
  second = (Float)_mm_unpackhi_ps((__m128)a, (__m128)b);
#else
  first = (Float)vzip1q_f32((float32x4_t)a, (float32x4_t)b);
  second = (Float)vzip2q_f32((float32x4_t)a, (float32x4_t)b);
#endif
}

/** LANES rows become LANES columns: log₂ LANES times, the first half of the rows is shuffled into the second like cards. */
INLINE void transposeLanes(Float (&rows)[LANES]) {
#pragma GCC unroll 4
  for (int width = 1; width < LANES; width *= 2) {
    Float next[LANES];
#pragma GCC unroll 8
    for (int i = 0; i < LANES / 2; i++) zip(rows[i], rows[i + LANES / 2], next[2 * i], next[2 * i + 1]);
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++) rows[i] = next[i];
  }
}

/** A whole vector, or the first `count` lanes of one: what `forLanes` hands to its body. */
struct Whole {};
struct Part {
  int64_t count;
};
INLINE Float load(const float* p, Whole) { return load(p); }
INLINE Float load(const float* p, Part part) { return load(p, part.count); }
INLINE Float loadOr(const float* p, Whole, float) { return load(p); }
INLINE Float loadOr(const float* p, Part part, float rest) { return loadOr(p, part.count, rest); }
INLINE void store(float* p, Float x, Whole) { store(p, x); }
INLINE void store(float* p, Float x, Part part) { store(p, x, part.count); }

/** For a body of `forLanes`: `[&](int64_t i, auto part) ALWAYS { store(out + i, load(x + i, part), part); }`. */
#define ALWAYS __attribute__((always_inline))

/** Calls `body` for the elements 0…size−1, a vector at a time; a last one that is not full is a Part. */
template <class Body>
INLINE void forLanes(int64_t size, const Body& body) {
  int64_t i = 0;
  for (; i + LANES <= size; i += LANES) body(i, Whole{});
  if (i < size) body(i, Part{size - i});
}

/** Bytes that a chunk of memory-bound work touches: some microseconds, ten times what handing it out costs. */
constexpr int64_t CHUNK_BYTES = 1 << 16;
/** Elements to a chunk of elementwise work. */
constexpr int64_t GRAIN = CHUNK_BYTES / 4;
/** Rows to a chunk when a row takes `rowBytes`. */
INLINE int64_t rowGrain(int64_t rowBytes) { return most(1, CHUNK_BYTES / most(rowBytes, 1)); }

}  // namespace PARLEY_ISA
}  // namespace parley
