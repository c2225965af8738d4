/**
 * The arithmetic of attention: a block of MR rows × NV vectors of sums held in registers, the packing that feeds it, and the
 * exponential. Everything here adds in one order, so that a row has the same bits in whatever block it is computed.
 */
#pragma once

#include "simd.h"

namespace parley {
namespace PARLEY_ISA {

/** The largest size of a head: what attention and its gradients keep of a tile fits a thread's scratch memory. */
constexpr int64_t LARGEST_HEAD = 1024;

/** Rows of a block, and vectors: with what feeds them they fill the machine's 32 or 16 registers. */
constexpr int BLOCK_ROWS = 6;
constexpr int BLOCK_VECTORS = LANES == 16 ? 4 : 2;
constexpr int BLOCK_COLUMNS = BLOCK_VECTORS * LANES;

/** A matrix whose element (row, step) is at data[row·stride + step·next]: with stride 1 it is read down its columns. */
struct Strided {
  const float* data;
  int64_t stride;
  int64_t next;
};

/**
 * out (MR, NV·LANES) = or += a (MR, length) · b (length, NV·LANES), each element summed from the first product to the last
 * before it is added. Strides are in floats.
 */
template <int MR, int NV, bool ADD>
static void block(Strided a, const float* b, int64_t bStride, int64_t length, float* out, int64_t outStride) {
  Float c[MR][NV];
#pragma GCC unroll 6
  for (int i = 0; i < MR; i++) {
#pragma GCC unroll 4
    for (int j = 0; j < NV; j++) c[i][j] = splat(0);
  }
  const float* x[MR];
#pragma GCC unroll 6
  for (int i = 0; i < MR; i++) x[i] = a.data + i * a.stride;
  for (int64_t k = 0; k < length; k++, b += bStride) {
    Float y[NV];
#pragma GCC unroll 4
    for (int j = 0; j < NV; j++) y[j] = load(b + j * LANES);
#pragma GCC unroll 6
    for (int i = 0; i < MR; i++) {
      const Float value = splat(*x[i]);
      x[i] += a.next;
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) c[i][j] = fma(value, y[j], c[i][j]);
    }
  }
#pragma GCC unroll 6
  for (int i = 0; i < MR; i++, out += outStride) {
#pragma GCC unroll 4
    for (int j = 0; j < NV; j++) store(out + j * LANES, ADD ? load(out + j * LANES) + c[i][j] : c[i][j]);
  }
}

template <int NV, bool ADD>
static void blockOfRows(int64_t rows, Strided a, const float* b, int64_t bStride, int64_t length, float* out, int64_t outStride) {
  switch (rows) {
    case 1: return block<1, NV, ADD>(a, b, bStride, length, out, outStride);
    case 2: return block<2, NV, ADD>(a, b, bStride, length, out, outStride);
    case 3: return block<3, NV, ADD>(a, b, bStride, length, out, outStride);
    case 4: return block<4, NV, ADD>(a, b, bStride, length, out, outStride);
    case 5: return block<5, NV, ADD>(a, b, bStride, length, out, outStride);
    default: return block<6, NV, ADD>(a, b, bStride, length, out, outStride);
  }
}

/**
 * out (rows, vectors·LANES) = or += a (rows, length) · b (length, vectors·LANES), for 1…6 rows. From one BLOCK_COLUMNS of b to the
 * next it is `bNext` floats: BLOCK_COLUMNS where b is stored by rows.
 */
template <bool ADD>
static void multiplyRows(
    int64_t rows, Strided a, const float* b, int64_t bStride, int64_t bNext, int64_t vectors, int64_t length, float* out,
    int64_t outStride) {
  for (; vectors >= BLOCK_VECTORS; vectors -= BLOCK_VECTORS, b += bNext, out += BLOCK_COLUMNS) {
    blockOfRows<BLOCK_VECTORS, ADD>(rows, a, b, bStride, length, out, outStride);
  }
  if (vectors == 1) blockOfRows<1, ADD>(rows, a, b, bStride, length, out, outStride);
#if defined(__AVX512F__)
  else if (vectors == 2) blockOfRows<2, ADD>(rows, a, b, bStride, length, out, outStride);
  else if (vectors == 3) blockOfRows<3, ADD>(rows, a, b, bStride, length, out, outStride);
#endif
}

/**
 * Panels (length, BLOCK_COLUMNS), one after the other, from x (columns, length) transposed. Columns past `columns` are zero up to
 * the end of their vector and undefined beyond. `stride` between rows of x.
 */
static void packColumns(const float* x, int64_t stride, int64_t length, int64_t columns, float* panels) {
  for (int64_t n = 0; n < columns; n += LANES) {
    float* out = panels + n / BLOCK_COLUMNS * length * BLOCK_COLUMNS + n % BLOCK_COLUMNS;
    const float* rows = x + n * stride;
    const int64_t present = least(LANES, columns - n);
    for (int64_t k = 0; k < length; k += LANES) {
      const int64_t count = least(LANES, length - k);
      Float square[LANES];
      if (present == LANES && count == LANES) {
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++) square[i] = load(rows + i * stride + k);
      } else {
        for (int i = 0; i < LANES; i++) square[i] = i < present ? load(rows + i * stride + k, count) : splat(0);
      }
      transposeLanes(square);
#pragma GCC unroll 16
      for (int i = 0; i < LANES; i++) {
        if (i < count) store(out + (k + i) * BLOCK_COLUMNS, square[i]);
      }
    }
  }
}

/** to = from · factor, `size` numbers. */
INLINE void scaleRow(float* to, const float* from, int64_t size, float factor) {
  const Float by = splat(factor);
  int64_t i = 0;
  for (; i + LANES <= size; i += LANES) store(to + i, load(from + i) * by);
  if (i < size) store(to + i, load(from + i, size - i) * by, size - i);
}

INLINE void copyRow(float* to, const float* from, int64_t size) {
  int64_t i = 0;
  for (; i + LANES <= size; i += LANES) store(to + i, load(from + i));
  if (i < size) store(to + i, load(from + i, size - i), size - i);
}

/** e^x for x up to a little over 0, within 1.5e-7 of its value and exactly 0 below −87.7. */
INLINE Float expToOne(Float x) {
  const Float bounded = max(splat(-88), x); // NaN stays NaN
  // n = round(x / ln 2) falls into the low bits of a sum with 1.5·2²³; at −88 the exponent is −127, whose bits are those of 0.
  const Float shifted = fma(bounded, splat(1.44269504f), splat(12582912));
  const Float n = shifted - splat(12582912);
  const Float r = fma(n, splat(2.12194440e-4f), nfma(n, splat(0.693359375f), bounded));
  Float q = fma(r, splat(1.38144669e-3f), splat(8.36878055e-3f));
  q = fma(q, r, splat(4.16683942e-2f));
  q = fma(q, r, splat(1.66665201e-1f));
  q = fma(q, r, splat(4.99999934e-1f));
  const Float p = splat(1) + fma(r * r, q, r);
  return p * fromBits((bits(shifted) - splatInt(0x4b400000 - 127)) << 23);
}

/** A sequence's rows, from its four numbers. */
struct Span {
  int64_t queryStart, queryLength, keyStart, keyLength;
};

INLINE Span spanOf(const int32_t* sequence) { return {sequence[0], sequence[1], sequence[2], sequence[3]}; }

}  // namespace PARLEY_ISA
}  // namespace parley
