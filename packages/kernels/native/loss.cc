/** Softmax cross-entropy over rows of logits. */
#include <limits>

#include "kernels.h"
#include "vector-math.h"

namespace parley {
namespace PARLEY_ISA {

namespace {

constexpr float NOTHING = -std::numeric_limits<float>::infinity();

INLINE float largest(const float* x, int64_t columns) {
  Float a = splat(NOTHING), b = a, c = a, d = a;
  int64_t i = 0;
  for (; i + 4 * LANES <= columns; i += 4 * LANES) {
    a = max(load(x + i), a);
    b = max(load(x + i + LANES), b);
    c = max(load(x + i + 2 * LANES), c);
    d = max(load(x + i + 3 * LANES), d);
  }
  for (; i < columns; i += LANES) {
    a = max(i + LANES <= columns ? load(x + i) : loadOr(x + i, columns - i, NOTHING), a);
  }
  return maxLanes(max(max(a, b), max(c, d)));
}

/** Σ e^(x − shift) over a row. */
INLINE float sumExp(const float* x, int64_t columns, float shift) {
  const Float center = splat(shift);
  Float a = splat(0), b = a, c = a, d = a;
  int64_t i = 0;
  for (; i + 4 * LANES <= columns; i += 4 * LANES) {
    a += exp(load(x + i) - center);
    b += exp(load(x + i + LANES) - center);
    c += exp(load(x + i + 2 * LANES) - center);
    d += exp(load(x + i + 3 * LANES) - center);
  }
  for (; i < columns; i += LANES) {
    a += exp((i + LANES <= columns ? load(x + i) : loadOr(x + i, columns - i, NOTHING)) - center);
  }
  return sumLanes((a + b) + (c + d));
}

}  // namespace

void crossEntropy(const CrossEntropyArguments& args, Pool& pool) {
  float *const losses = args.losses, *const sums = args.logSumExp;
  const float* const logits = args.logits;
  const int32_t* const targets = args.targets;
  const int64_t rows = args.rows, columns = args.columns, ignoreIndex = args.ignoreIndex, grain = rowGrain(columns * 4);
  parallelFor(pool, ceilDiv(rows, grain), [&](uint32_t chunk, char*) {
    for (int64_t n = chunk * grain, end = least(rows, n + grain); n < end; n++) {
      const float* const x = logits + n * columns;
      const float top = largest(x, columns);
      const float rest = log(sumExp(x, columns, top));
      sums[n] = top + rest;
      // In this order a loss near zero keeps its digits.
      losses[n] = targets[n] == ignoreIndex ? 0 : top - x[targets[n]] + rest;
    }
  });
}

void crossEntropyBackward(const CrossEntropyBackwardArguments& args, Pool& pool) {
  float* const dLogits = args.dLogits;
  const float *const logits = args.logits, *const sums = args.logSumExp;
  const int32_t* const targets = args.targets;
  const int64_t rows = args.rows, columns = args.columns, ignoreIndex = args.ignoreIndex, grain = rowGrain(columns * 4);
  const float scale = args.scale, ofTarget = args.ofTarget, twiceZ = args.twiceZ;
  const Float ofEach = splat(args.ofEach);
  parallelFor(pool, ceilDiv(rows, grain), [&](uint32_t chunk, char*) {
    for (int64_t n = chunk * grain, end = least(rows, n + grain); n < end; n++) {
      float* const to = dLogits + n * columns;
      const float* const x = logits + n * columns;
      if (targets[n] == ignoreIndex) {
        std::memset(to, 0, columns * 4);
        continue;
      }
      const Float shift = splat(sums[n]), factor = splat(scale * (1.0f + twiceZ * sums[n]));
      forLanes(columns, [&](int64_t i, auto part) ALWAYS { store(to + i, exp(load(x + i, part) - shift) * factor - ofEach, part); });
      to[targets[n]] -= ofTarget;
    }
  });
}

}  // namespace PARLEY_ISA
}  // namespace parley
