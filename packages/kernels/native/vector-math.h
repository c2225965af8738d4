/**
 * Elementary functions on vectors of floats. The coefficients are least-maximum-error fits over the ranges given, the same as
 * in assembly/math.ts.
 */
#pragma once

#include "simd.h"

namespace parley {
namespace PARLEY_ISA {

/** e^x within 1.5e-7 of its value; 0 below −104, infinity above 88.8, denormals between. NaN stays NaN. */
INLINE Float exp(Float x) {
  const Float bounded = min(splat(89.0f), max(splat(-104.0f), x));
  // n = round(x / ln 2) falls into the low bits of a sum with 1.5·2²³, and r = x − n·ln 2 is in ±0.3466. ln 2 comes in two
  // parts, the first with enough zeros at its end for n times it to be exact.
  const Float big = splat(12582912.0f);
  const Float shifted = fma(bounded, splat(1.44269504f), big);
  const Float n = shifted - big;
  const Float r = nfma(n, splat(-2.12194440e-4f), nfma(n, splat(0.693359375f), bounded));
  // e^r = 1 + r + r²·q(r), q to 3e-9 of e^r.
  Float q = fma(r, splat(1.38144669e-3f), splat(8.36878055e-3f));
  q = fma(q, r, splat(4.16683942e-2f));
  q = fma(q, r, splat(1.66665201e-1f));
  q = fma(q, r, splat(4.99999934e-1f));
  const Float one = splat(1.0f);
  const Float p = one + fma(r * r, q, r);
#if defined(__AVX512F__)
  return (Float)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
  // 2ⁿ in two factors, as n goes past both ends of the exponent. The bits of 1 are the exponent's bias in its place.
  const Int whole = bits(shifted) - bits(big);
  const Int half = whole >> 1;
  return p * fromBits((half << 23) + bits(one)) * fromBits(((whole - half) << 23) + bits(one));
#endif
}

/** 1 / (1 + e^−x). */
INLINE Float sigmoid(Float x) {
  const Float one = splat(1.0f);
  return one / (one + exp(-x));
}

/**
 * Φ(x), the standard normal distribution function, (1 + erf(x/√2)) / 2. `bell` is e^(−x²/2).
 * Φ(−|x|) = e^(−x²/2)·t·c(t) with t = 1/(1 + |x|/4) and c of degree 9, to 3.4e-8 of its value before rounding: tails keep
 * their digits, which 1 + erf would lose.
 */
INLINE Float normalCdf(Float x, Float bell) {
  const Float one = splat(1.0f);
  const Float t = one / fma(abs(x), splat(0.25f), one);
  Float c = fma(t, splat(0.0197819751f), splat(-0.0808771625f));
  c = fma(c, t, splat(0.0955968127f));
  c = fma(c, t, splat(-0.0317172632f));
  c = fma(c, t, splat(0.0636989623f));
  c = fma(c, t, splat(0.0589751974f));
  c = fma(c, t, splat(0.0816031024f));
  c = fma(c, t, splat(0.0934663564f));
  c = fma(c, t, splat(0.0997364298f));
  c = fma(c, t, splat(0.0997355655f));
  const Float tail = (c * t) * bell;
  return select(bits(x) < splatInt(0), tail, one - tail);
}

/** e^(−x²/2). */
INLINE Float bellCurve(Float x) { return exp((x * x) * splat(-0.5f)); }

/** Natural logarithm of one positive, normal number, within 2e-7 of its value (absolute below 1). */
INLINE float log(float x) {
  // x = m·2^e with m from √½ to √2; log m = 2·artanh(s), s = (m − 1)/(m + 1).
  int32_t word;
  std::memcpy(&word, &x, 4);
  word -= 0x3f3504f3;
  const float e = static_cast<float>(word >> 23);
  const int32_t mantissa = (word & 0x007fffff) + 0x3f3504f3;
  float m;
  std::memcpy(&m, &mantissa, 4);
  const float s = (m - 1.0f) / (m + 1.0f);
  const float square = s * s;
  const float series = s * square * (0.66666777f + square * (0.39977446f + square * 0.29874521f));
  return e * 0.69314718f + (series + 2.0f * s);
}

}  // namespace PARLEY_ISA
}  // namespace parley
