/** The optimizer's step and the norm it clips by. */
#include "kernels.h"
#include "simd.h"

namespace parley {
namespace PARLEY_ISA {

namespace {

/** Σ x² in double precision: sixteen sums, the same on every machine, added up in a fixed order. */
double squaresOf(const float* x, int64_t count) {
  typedef double Sums __attribute__((vector_size(64)));
  typedef float Eight __attribute__((vector_size(32), aligned(4), may_alias));
  Sums a = {}, b = {};
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const Sums low = __builtin_convertvector(*(const Eight*)(x + i), Sums);
    const Sums high = __builtin_convertvector(*(const Eight*)(x + i + 8), Sums);
    a += low * low;
    b += high * high;
  }
  a += b;
  double sum = ((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7]));
  for (; i < count; i++) sum += double(x[i]) * double(x[i]);
  return sum;
}

}  // namespace

void sumSquares(const SumSquaresArguments& args, Pool& pool) {
  float* const out = args.out;
  const float* const x = args.x;
  const int64_t size = args.size, chunks = ceilDiv(size, GRAIN);
  double* const partials = reinterpret_cast<double*>(pool.workspace(static_cast<size_t>(chunks * 8)));
  if (partials == nullptr) return;
  parallelFor(pool, chunks, [&](uint32_t chunk, char*) {
    const int64_t first = chunk * GRAIN;
    partials[chunk] = squaresOf(x + first, least(GRAIN, size - first));
  });
  double sum = 0;
  for (int64_t i = 0; i < chunks; i++) sum += partials[i];
  *out = static_cast<float>(sum);
}

void adamw(const AdamwArguments& args, Pool& pool) {
  float *const parameter = args.parameter, *const ms = args.m, *const vs = args.v;
  const float* const gradient = args.gradient;
  const int64_t size = args.size;
  const Float gradientScale = splat(args.gradientScale), beta1 = splat(args.beta1), rest1 = splat(args.rest1);
  const Float beta2 = splat(args.beta2), rest2 = splat(args.rest2), correction1 = splat(args.correction1);
  const Float correction2 = splat(args.correction2), epsilon = splat(args.epsilon);
  const Float learningRate = splat(args.learningRate), weightDecay = splat(args.weightDecay);
  parallelFor(pool, ceilDiv(size, GRAIN), [&](uint32_t chunk, char*) {
    const int64_t first = chunk * GRAIN;
    forLanes(least(GRAIN, size - first), [&](int64_t i, auto part) ALWAYS {
      const int64_t at = first + i;
      const Float p = load(parameter + at, part);
      const Float g = load(gradient + at, part) * gradientScale;
      const Float m = fma(rest1, g, beta1 * load(ms + at, part));
      const Float v = fma(rest2 * g, g, beta2 * load(vs + at, part));
      const Float change = fma(weightDecay, p, (m * correction1) / (sqrt(v * correction2) + epsilon));
      store(ms + at, m, part);
      store(vs + at, v, part);
      store(parameter + at, nfma(learningRate, change, p), part);
    });
  });
}

}  // namespace PARLEY_ISA
}  // namespace parley
