/** Operations on one element at a time. A chunk is a run of elements. */
#include <type_traits>

#include "kernels.h"
#include "vector-math.h"

namespace parley {
namespace PARLEY_ISA {

namespace {

/** Cuts `size` elements into chunks: `body(first, count)`. */
template <class Body>
INLINE void forRuns(Pool& pool, int64_t size, const Body& body) {
  parallelFor(pool, ceilDiv(size, GRAIN), [&](uint32_t chunk, char*) {
    const int64_t first = chunk * GRAIN;
    body(first, least(GRAIN, size - first));
  });
}

enum : int64_t { GELU = 0, GELU_TANH = 1, SILU = 2 };

/** 2·√(2/π), with 0.044715 times and 3·0.044715 times it; 1/√(2π). */
constexpr float TANH_LINEAR = 1.59576912f, TANH_CUBIC = 0.0713548163f, TANH_SLOPE = 0.214064449f, BELL = 0.398942280f;

/** 2·√(2/π)·(x + 0.044715·x³): gelu_tanh is x·σ of this. */
INLINE Float tanhArgument(Float x) { return x * fma(x * x, splat(TANH_CUBIC), splat(TANH_LINEAR)); }

/** What x is multiplied with: all three activations are x times a distribution function. */
template <int64_t KIND>
INLINE Float gateOf(Float x) {
  if constexpr (KIND == GELU) return normalCdf(x, bellCurve(x));
  return sigmoid(KIND == GELU_TANH ? tanhArgument(x) : x);
}

struct GateAndSlope {
  Float gate, slope;
};

/** gate(x), and the derivative of x·gate(x). */
template <int64_t KIND>
INLINE GateAndSlope gateAndSlope(Float x) {
  if constexpr (KIND == GELU) {
    const Float bell = bellCurve(x);
    const Float gate = normalCdf(x, bell);
    return {gate, fma(x * bell, splat(BELL), gate)};
  }
  // σ(u) + x·u′·σ(u)·(1 − σ(u)), with x·u′ = x for silu. 1 − σ(u) = e^−u·σ(u) keeps the digits that subtracting loses; the
  // bound on e^−u keeps it finite.
  const Float u = KIND == GELU_TANH ? tanhArgument(x) : x;
  const Float rise = KIND == GELU_TANH ? x * fma(x * x, splat(TANH_SLOPE), splat(TANH_LINEAR)) : x;
  const Float one = splat(1.0f);
  const Float e = exp(min(splat(80.0f), -u));
  const Float s = one / (one + e);
  return {s, fma((e * s) * rise, s, s)};
}

/** Calls `body` with the kind as a constant. */
template <class Body>
INLINE void withKind(int64_t kind, const Body& body) {
  if (kind == GELU) body(std::integral_constant<int64_t, GELU>{});
  else if (kind == GELU_TANH) body(std::integral_constant<int64_t, GELU_TANH>{});
  else body(std::integral_constant<int64_t, SILU>{});
}

}  // namespace

void fill(const FillArguments& args, Pool& pool) {
  float* const out = args.out;
  const Float value = splat(args.value);
  forRuns(pool, args.size, [&](int64_t first, int64_t count) {
    forLanes(count, [&](int64_t i, auto part) ALWAYS { store(out + first + i, value, part); });
  });
}

void copy(const CopyArguments& args, Pool& pool) {
  uint8_t* const out = args.out;
  const uint8_t* const x = args.x;
  const int64_t bytes = args.bytes;
  parallelFor(pool, ceilDiv(bytes, CHUNK_BYTES), [&](uint32_t chunk, char*) {
    const int64_t first = chunk * CHUNK_BYTES;
    std::memcpy(out + first, x + first, least(CHUNK_BYTES, bytes - first));
  });
}

void add(const AddArguments& args, Pool& pool) {
  float* const out = args.out;
  const float *const a = args.a, *const b = args.b;
  forRuns(pool, args.size, [&](int64_t first, int64_t count) {
    forLanes(count, [&](int64_t i, auto part) ALWAYS {
      const int64_t at = first + i;
      store(out + at, load(a + at, part) + load(b + at, part), part);
    });
  });
}

void scale(const ScaleArguments& args, Pool& pool) {
  float* const out = args.out;
  const float* const x = args.x;
  const Float factor = splat(args.factor);
  forRuns(pool, args.size, [&](int64_t first, int64_t count) {
    forLanes(count, [&](int64_t i, auto part) ALWAYS { store(out + first + i, load(x + first + i, part) * factor, part); });
  });
}

void activation(const ActivationArguments& args, Pool& pool) {
  float* const out = args.out;
  const float* const x = args.x;
  withKind(args.kind, [&](auto kind) {
    forRuns(pool, args.size, [&](int64_t first, int64_t count) {
      forLanes(count, [&](int64_t i, auto part) ALWAYS {
        const Float value = load(x + first + i, part);
        store(out + first + i, value * gateOf<decltype(kind)::value>(value), part);
      });
    });
  });
}

void activationBackward(const ActivationBackwardArguments& args, Pool& pool) {
  float* const dX = args.dX;
  const float *const dOut = args.dOut, *const x = args.x;
  withKind(args.kind, [&](auto kind) {
    forRuns(pool, args.size, [&](int64_t first, int64_t count) {
      forLanes(count, [&](int64_t i, auto part) ALWAYS {
        const int64_t at = first + i;
        const Float slope = gateAndSlope<decltype(kind)::value>(load(x + at, part)).slope;
        store(dX + at, fma(load(dOut + at, part), slope, load(dX + at, part)), part);
      });
    });
  });
}

void gated(const GatedArguments& args, Pool& pool) {
  float* const out = args.out;
  const float *const gate = args.gate, *const up = args.up;
  withKind(args.kind, [&](auto kind) {
    forRuns(pool, args.size, [&](int64_t first, int64_t count) {
      forLanes(count, [&](int64_t i, auto part) ALWAYS {
        const int64_t at = first + i;
        const Float value = load(gate + at, part);
        store(out + at, (value * gateOf<decltype(kind)::value>(value)) * load(up + at, part), part);
      });
    });
  });
}

void gatedBackward(const GatedBackwardArguments& args, Pool& pool) {
  float *const dGate = args.dGate, *const dUp = args.dUp;
  const float *const dOut = args.dOut, *const gate = args.gate, *const up = args.up;
  withKind(args.kind, [&](auto kind) {
    forRuns(pool, args.size, [&](int64_t first, int64_t count) {
      forLanes(count, [&](int64_t i, auto part) ALWAYS {
        const int64_t at = first + i;
        const Float value = load(gate + at, part), flow = load(dOut + at, part);
        const GateAndSlope both = gateAndSlope<decltype(kind)::value>(value);
        if (dGate != nullptr) store(dGate + at, load(dGate + at, part) + (flow * load(up + at, part)) * both.slope, part);
        if (dUp != nullptr) store(dUp + at, load(dUp + at, part) + flow * (value * both.gate), part);
      });
    });
  });
}

}  // namespace PARLEY_ISA
}  // namespace parley
