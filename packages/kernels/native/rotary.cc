/** Rotary position embedding (Su et al., 2021, arXiv:2104.09864). */
#include "kernels.h"
#include "simd.h"

namespace parley {
namespace PARLEY_ISA {

/** Each pair (x[i], x[i + D/2]) of each head turns by the angle of its row's position. `out` may be `x`. */
void rotary(const RotaryArguments& args, Pool& pool) {
  float* const outs = args.out;
  const float* const xs = args.x;
  const int32_t* const positions = args.positions;
  const float* const cosines = args.cos;
  const float* const sines = args.sin;
  const int64_t count = args.count, heads = args.heads, half = args.half;
  const Float direction = splat(args.inverse != 0 ? -1.0f : 1.0f);
  const bool accumulate = args.accumulate != 0;
  const int64_t grain = rowGrain(heads * half * 8);
  parallelFor(pool, ceilDiv(count, grain), [=](uint32_t chunk, char*) {
    const int64_t end = least(count, (chunk + 1) * grain);
    for (int64_t n = chunk * grain; n < end; n++) {
      const int64_t angles = positions[n] * half;
      for (int64_t i = 0; i < half; i += LANES) {
        const int64_t present = least(LANES, half - i);
        const bool full = present == LANES;
        const auto read = [&](const float* p) { return full ? load(p) : load(p, present); };
        const auto write = [&](float* p, Float value) { full ? store(p, value) : store(p, value, present); };
        const Float cos = read(cosines + angles + i), sin = read(sines + angles + i) * direction;
        for (int64_t head = 0; head < heads; head++) {
          const int64_t at = (n * heads + head) * 2 * half + i;
          const Float low = read(xs + at), high = read(xs + at + half);
          Float newLow = nfma(high, sin, low * cos), newHigh = fma(low, sin, high * cos);
          if (accumulate) {
            newLow = read(outs + at) + newLow;
            newHigh = read(outs + at + half) + newHigh;
          }
          write(outs + at, newLow);
          write(outs + at + half, newHigh);
        }
      }
    }
  });
}

}  // namespace PARLEY_ISA
}  // namespace parley
