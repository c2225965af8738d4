/** Layer norm and RMS norm over rows, and their gradients. Without a mean the first is the second. */
#include <cmath>

#include "kernels.h"
#include "simd.h"

namespace parley {
namespace PARLEY_ISA {

namespace {

/** Columns to a chunk of the weights' gradient. */
constexpr int64_t WEIGHTS_SLICE = 64;

/** Σ of `term(i, part)` over a row. Four accumulators hide the addition's latency. */
template <class Term>
INLINE float sumOver(int64_t columns, const Term& term) {
  Float a = splat(0), b = splat(0), c = splat(0), d = splat(0);
  int64_t i = 0;
  for (; i + 4 * LANES <= columns; i += 4 * LANES) {
    a += term(i, Whole{});
    b += term(i + LANES, Whole{});
    c += term(i + 2 * LANES, Whole{});
    d += term(i + 3 * LANES, Whole{});
  }
  for (; i + LANES <= columns; i += LANES) a += term(i, Whole{});
  if (i < columns) b += term(i, Part{columns - i});
  return sumLanes((a + b) + (c + d));
}

}  // namespace

void normalize(const NormalizeArguments& args, Pool& pool) {
  float *const out = args.out, *const means = args.mean, *const rstds = args.rstd;
  const float *const x = args.x, *const weight = args.weight, *const bias = args.bias;
  const int64_t rows = args.rows, columns = args.columns, grain = rowGrain(columns * 4);
  const float epsilon = args.epsilon, width = static_cast<float>(columns);
  parallelFor(pool, ceilDiv(rows, grain), [&](uint32_t chunk, char*) {
    for (int64_t n = chunk * grain, end = least(rows, n + grain); n < end; n++) {
      const float* const row = x + n * columns;
      float mean = 0;
      if (means != nullptr) {
        mean = sumOver(columns, [&](int64_t i, auto part) ALWAYS { return load(row + i, part); }) / width;
        means[n] = mean;
      }
      const Float center = splat(mean);
      const float squares = sumOver(columns, [&](int64_t i, auto part) ALWAYS {
        const Float distance = loadOr(row + i, part, mean) - center;
        return distance * distance;
      });
      const float rstd = 1.0f / std::sqrt(squares / width + epsilon);
      rstds[n] = rstd;
      const Float factor = splat(rstd);
      float* const to = out + n * columns;
      forLanes(columns, [&](int64_t i, auto part) ALWAYS {
        const Float scaled = ((load(row + i, part) - center) * factor) * load(weight + i, part);
        store(to + i, bias != nullptr ? scaled + load(bias + i, part) : scaled, part);
      });
    }
  });
}

/** With g = dOut·weight and x̂ = (x − mean)·rstd: dX += rstd·(g − mean(g) − x̂·mean(g·x̂)), where RMS norm has no mean(g). */
static void rowGradients(const NormalizeBackwardArguments& args, Pool& pool) {
  float* const dX = args.dX;
  const float *const dOut = args.dOut, *const x = args.x, *const weight = args.weight, *const means = args.mean, *const rstds = args.rstd;
  const int64_t rows = args.rows, columns = args.columns, grain = rowGrain(columns * 4);
  const float width = static_cast<float>(columns);
  parallelFor(pool, ceilDiv(rows, grain), [&](uint32_t chunk, char*) {
    for (int64_t n = chunk * grain, end = least(rows, n + grain); n < end; n++) {
      float* const to = dX + n * columns;
      const float *const flow = dOut + n * columns, *const row = x + n * columns;
      const Float center = splat(means != nullptr ? means[n] : 0), factor = splat(rstds[n]);
      const auto g = [&](int64_t i, auto part) ALWAYS { return load(flow + i, part) * load(weight + i, part); };
      const auto normal = [&](int64_t i, auto part) ALWAYS { return (load(row + i, part) - center) * factor; };
      const float sum = means != nullptr ? sumOver(columns, g) : 0;
      const float product = sumOver(columns, [&](int64_t i, auto part) ALWAYS { return g(i, part) * normal(i, part); });
      const Float meanG = splat(sum / width), meanProduct = splat(product / width);
      forLanes(columns, [&](int64_t i, auto part) ALWAYS {
        const Float inner = nfma(normal(i, part), meanProduct, g(i, part) - meanG);
        store(to + i, fma(inner, factor, load(to + i, part)), part);
      });
    }
  });
}

/** dWeight += Σ dOut·x̂ and dBias += Σ dOut over the rows, in order. A chunk is a slice of the columns. */
static void weightGradients(const NormalizeBackwardArguments& args, Pool& pool) {
  float *const dWeight = args.dWeight, *const dBias = args.dBias;
  const float *const dOut = args.dOut, *const x = args.x, *const means = args.mean, *const rstds = args.rstd;
  const int64_t rows = args.rows, columns = args.columns;
  constexpr int64_t VECTORS = WEIGHTS_SLICE / LANES;
  parallelFor(pool, ceilDiv(columns, WEIGHTS_SLICE), [&](uint32_t chunk, char*) {
    const int64_t first = chunk * WEIGHTS_SLICE, width = least(WEIGHTS_SLICE, columns - first);
    Float weights[VECTORS], biases[VECTORS];
    for (int64_t j = 0; j < VECTORS; j++) weights[j] = biases[j] = splat(0);
    for (int64_t n = 0; n < rows; n++) {
      const float *const flow = dOut + n * columns + first, *const row = x + n * columns + first;
      const Float center = splat(means != nullptr ? means[n] : 0), factor = splat(rstds[n]);
      const auto step = [&](int64_t j, auto part) ALWAYS {
        const Float f = load(flow + j * LANES, part);
        weights[j] = fma(f, (load(row + j * LANES, part) - center) * factor, weights[j]);
        biases[j] += f;
      };
      if (width == WEIGHTS_SLICE) {
#pragma GCC unroll 16
        for (int64_t j = 0; j < VECTORS; j++) step(j, Whole{});
      } else {
        for (int64_t j = 0; j * LANES < width; j++) step(j, Part{least(LANES, width - j * LANES)});
      }
    }
    forLanes(width, [&](int64_t i, auto part) ALWAYS {
      if (dWeight != nullptr) store(dWeight + first + i, load(dWeight + first + i, part) + weights[i / LANES], part);
      if (dBias != nullptr) store(dBias + first + i, load(dBias + first + i, part) + biases[i / LANES], part);
    });
  });
}

void normalizeBackward(const NormalizeBackwardArguments& args, Pool& pool) {
  if (static_cast<float*>(args.dX) != nullptr) rowGradients(args, pool);
  if (static_cast<float*>(args.dWeight) != nullptr || static_cast<float*>(args.dBias) != nullptr) weightGradients(args, pool);
}

}  // namespace PARLEY_ISA
}  // namespace parley
