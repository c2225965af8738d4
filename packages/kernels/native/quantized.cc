/** The way into q8 and q4 and out of it. The layout is told in quantized.h. */
#include "quantized.h"

#include "kernels.h"

namespace parley {
namespace PARLEY_ISA {

namespace {

/** As many bytes as a vector has lanes. */
typedef uint8_t Bytes __attribute__((vector_size(LANES)));

/** Of 32 numbers the one of largest magnitude, the first on a tie; NaN is passed over. */
inline float extreme(const float* x) {
  Float above = splat(0), below = splat(0);
  for (int i = 0; i < BLOCK; i += LANES) {
    above = max(load(x + i), above);
    below = max(-load(x + i), below);
  }
  const float most = maxLanes(above), least = maxLanes(below);
  if (most > least) return most;
  if (least > most) return -least;
  for (int i = 0; i < BLOCK; i++) {
    if (x[i] == most || x[i] == -most) return x[i];
  }
  return 0;
}

/** codes (32) = min(15, floor(x / d + 8.5)); 8, which stands for 0, where d is 0 or the quotient NaN. Returns d. */
inline float quantizeBlock4(const float* x, uint8_t* codes) {
  const float d = extreme(x) / -8;
  if (d == 0) {
    memset(codes, ZERO4, BLOCK);
    return d;
  }
  for (int i = 0; i < BLOCK; i += LANES) {
    const Float code = load(x + i) / splat(d) + splat(8.5f);
    // Bounded from below it is positive, where a conversion's cutting off is the floor.
    const Float inRange = min(splat(15), max(splat(0), code));
    const Int whole = __builtin_convertvector(select(code == code, inRange, splat(ZERO4)), Int);
    const Bytes bytes = __builtin_convertvector(whole, Bytes);
    memcpy(codes + i, &bytes, LANES);
  }
  return d;
}

/** One row's lanes of the blocks of a group: `out` is the first of them. */
template <int BITS>
void quantizeRow(const float* x, uint8_t* out, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, x += BLOCK, out += blockBytes(BITS)) {
    alignas(BLOCK) uint8_t codes[BLOCK];
    const float d = BITS == 4 ? quantizeBlock4(x, codes) : quantizeBlock8(x, reinterpret_cast<int8_t*>(codes));
    memcpy(out + codeLines(BITS) * LINE, &d, 4);
    uint32_t columns[BLOCK / 4];
    if (BITS == 8) {
      for (uint8_t& code : codes) code = static_cast<uint8_t>(code + ZERO8);
    }
    memcpy(columns, codes, BLOCK);
    for (int j = 0; j < codeLines(BITS); j++) {
      const uint32_t line = BITS == 4 ? columns[2 * j] | columns[2 * j + 1] << 4 : columns[j];
      memcpy(out + j * LINE, &line, 4);
    }
  }
}

template <int BITS>
void dequantizeRow(const uint8_t* weights, int64_t row, int64_t blocks, float* out) {
  const uint8_t* w = weights + row / GROUP * blocks * blockBytes(BITS) + row % GROUP * 4;
  for (int64_t b = 0; b < blocks; b++, w += blockBytes(BITS), out += BLOCK) {
    uint32_t columns[BLOCK / 4];
    for (int j = 0; j < codeLines(BITS); j++) {
      uint32_t line;
      memcpy(&line, w + j * LINE, 4);
      if (BITS == 4) {
        columns[2 * j] = line & 0x0f0f0f0f;
        columns[2 * j + 1] = line >> 4 & 0x0f0f0f0f;
      } else {
        columns[j] = line;
      }
    }
    uint8_t codes[BLOCK];
    memcpy(codes, columns, BLOCK);
    float d;
    memcpy(&d, w + codeLines(BITS) * LINE, 4);
    for (int i = 0; i < BLOCK; i += LANES) {
      Bytes bytes;
      memcpy(&bytes, codes + i, LANES);
      const Int whole = __builtin_convertvector(bytes, Int) - splatInt(BITS == 4 ? ZERO4 : ZERO8);
      store(out + i, __builtin_convertvector(whole, Float) * splat(d));
    }
  }
}

template <int BITS>
void quantizeAll(uint8_t* out, const float* x, int64_t rows, int64_t columns, Pool& pool) {
  const int64_t blocks = columns / BLOCK;
  const int64_t groupBytes = blocks * blockBytes(BITS);
  const int64_t grain = rowGrain(GROUP * columns * 4);
  parallelFor(pool, ceilDiv(ceilDiv(rows, GROUP), grain), [=](uint32_t chunk, char*) {
    const int64_t end = least(ceilDiv(rows, GROUP), (chunk + 1) * grain);
    for (int64_t group = chunk * grain; group < end; group++) {
      const int64_t present = least(GROUP, rows - group * GROUP);
      if (present < GROUP) memset(out + group * groupBytes, 0, static_cast<size_t>(groupBytes));
      for (int64_t r = 0; r < present; r++) {
        quantizeRow<BITS>(x + (group * GROUP + r) * columns, out + group * groupBytes + 4 * r, blocks);
      }
    }
  });
}

/** out[n] = row ids[n] of the weights, or row n where `ids` is null. */
template <int BITS>
void dequantizeRows(float* out, const uint8_t* weights, const int32_t* ids, int64_t count, int64_t columns, Pool& pool) {
  const int64_t grain = rowGrain(columns * 4);
  parallelFor(pool, ceilDiv(count, grain), [=](uint32_t chunk, char*) {
    const int64_t end = least(count, (chunk + 1) * grain);
    for (int64_t n = chunk * grain; n < end; n++) {
      dequantizeRow<BITS>(weights, ids == nullptr ? n : ids[n], columns / BLOCK, out + n * columns);
    }
  });
}

}  // namespace

int64_t quantizedBytes(int64_t rows, int64_t columns, int64_t bits) {
  return ceilDiv(rows, GROUP) * (columns / BLOCK) * blockBytes(bits);
}

void quantize(const QuantizeArguments& args, Pool& pool) {
  if (args.bits == 4) quantizeAll<4>(args.out, args.x, args.rows, args.columns, pool);
  else quantizeAll<8>(args.out, args.x, args.rows, args.columns, pool);
}

void dequantize(const DequantizeArguments& args, Pool& pool) {
  if (args.bits == 4) dequantizeRows<4>(args.out, args.x, nullptr, args.rows, args.columns, pool);
  else dequantizeRows<8>(args.out, args.x, nullptr, args.rows, args.columns, pool);
}

void gatherQuantizedRows(const GatherQuantizedRowsArguments& args, Pool& pool) {
  if (args.bits == 4) dequantizeRows<4>(args.out, args.table, args.ids, args.count, args.columns, pool);
  else dequantizeRows<8>(args.out, args.table, args.ids, args.count, args.columns, pool);
}

}  // namespace PARLEY_ISA
}  // namespace parley
