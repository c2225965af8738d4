// @ts-nocheck
/** Elementary functions on four f32 lanes. The coefficients are least-maximum-error fits over the ranges given. */
import { madd, nmadd } from './simd';

/** e^x within 1.5e-7 of its value; 0 below −104, infinity above 88.8, denormals between. NaN stays NaN. */
@inline
export function exp(x: v128): v128 {
  const bounded = f32x4.pmin(f32x4.pmax(x, f32x4.splat(-104)), f32x4.splat(89));
  // n = round(x / ln 2) falls into the low bits of a sum with 1.5·2²³, and r = x − n·ln 2 is in ±0.3466. ln 2 comes in two
  // parts, the first with enough zeros at its end for n times it to be exact.
  const shifted = f32x4.add(f32x4.mul(bounded, f32x4.splat(1.44269504)), f32x4.splat(12582912));
  const n = f32x4.sub(shifted, f32x4.splat(12582912));
  const r = madd(n, f32x4.splat(2.12194440e-4), nmadd(n, f32x4.splat(0.693359375), bounded));
  // e^r = 1 + r + r²·q(r), q to 3e-9 of e^r.
  let q = madd(r, f32x4.splat(1.38144669e-3), f32x4.splat(8.36878055e-3));
  q = madd(q, r, f32x4.splat(4.16683942e-2));
  q = madd(q, r, f32x4.splat(1.66665201e-1));
  q = madd(q, r, f32x4.splat(4.99999934e-1));
  const p = f32x4.add(f32x4.splat(1), madd(f32x4.mul(r, r), q, r));
  // 2ⁿ in two factors, as n goes past both ends of the exponent.
  const whole = i32x4.sub(shifted, i32x4.splat(0x4b400000));
  const half = i32x4.shr_s(whole, 1);
  const low = i32x4.shl(i32x4.add(half, i32x4.splat(127)), 23);
  const high = i32x4.shl(i32x4.add(i32x4.sub(whole, half), i32x4.splat(127)), 23);
  return f32x4.mul(f32x4.mul(p, low), high);
}

/** 1 / (1 + e^−x). */
@inline
export function sigmoid(x: v128): v128 {
  return f32x4.div(f32x4.splat(1), f32x4.add(f32x4.splat(1), exp(f32x4.neg(x))));
}

/**
 * Φ(x), the standard normal distribution function, (1 + erf(x/√2)) / 2. `bell` is e^(−x²/2).
 * Φ(−|x|) = e^(−x²/2)·t·c(t) with t = 1/(1 + |x|/4) and c of degree 9, to 3.4e-8 of its value before rounding: tails keep
 * their digits, which 1 + erf would lose.
 */
@inline
export function normalCdf(x: v128, bell: v128): v128 {
  const t = f32x4.div(f32x4.splat(1), madd(f32x4.abs(x), f32x4.splat(0.25), f32x4.splat(1)));
  let c = madd(t, f32x4.splat(0.0197819751), f32x4.splat(-0.0808771625));
  c = madd(c, t, f32x4.splat(0.0955968127));
  c = madd(c, t, f32x4.splat(-0.0317172632));
  c = madd(c, t, f32x4.splat(0.0636989623));
  c = madd(c, t, f32x4.splat(0.0589751974));
  c = madd(c, t, f32x4.splat(0.0816031024));
  c = madd(c, t, f32x4.splat(0.0934663564));
  c = madd(c, t, f32x4.splat(0.0997364298));
  c = madd(c, t, f32x4.splat(0.0997355655));
  const tail = f32x4.mul(f32x4.mul(c, t), bell);
  return v128.bitselect(tail, f32x4.sub(f32x4.splat(1), tail), f32x4.lt(x, f32x4.splat(0)));
}

/** e^(−x²/2). */
@inline
export function bellCurve(x: v128): v128 {
  return exp(f32x4.mul(f32x4.mul(x, x), f32x4.splat(-0.5)));
}

/** Natural logarithm of one positive, normal number, within 2e-7 of its value (absolute below 1). */
@inline
export function log(x: f32): f32 {
  // x = m·2^e with m from √½ to √2; log m = 2·artanh(s), s = (m − 1)/(m + 1).
  const bits = reinterpret<i32>(x) - 0x3f3504f3;
  const e = <f32>(bits >> 23);
  const m = reinterpret<f32>((bits & 0x007fffff) + 0x3f3504f3);
  const s = (m - 1) / (m + 1);
  const square = s * s;
  const series = s * square * (<f32>0.66666777 + square * (<f32>0.39977446 + square * <f32>0.29874521));
  return e * <f32>0.69314718 + (series + <f32>2 * s);
}
