// @ts-nocheck
/**
 * Elementary functions on four f32 lanes. The coefficients are least-maximum-error fits over the ranges given.
 *
 * Constants come from memory: V8 makes a v128 constant anew at every use, with a scalar move and a shuffle, where a load that
 * broadcasts costs one instruction on an idle port. For e^x that is 1.2 against 2.0 ns an element.
 */
import { constant, madd, nmadd } from './simd';

const EXP = memory.data<f32>([
  -104, 89, 1.44269504 /* 1 / ln 2 */, 12582912 /* 1.5·2²³ */,
  0.693359375, -2.12194440e-4 /* their sum is ln 2 */,
  1.38144669e-3, 8.36878055e-3, 4.16683942e-2, 1.66665201e-1, 4.99999934e-1, 1,
]);
const ONE: usize = 11;

/** e^x within 1.5e-7 of its value; 0 below −104, infinity above 88.8, denormals between. NaN stays NaN. */
@inline
export function exp(x: v128): v128 {
  const bounded = f32x4.pmin(f32x4.pmax(x, constant(EXP, 0)), constant(EXP, 1));
  // n = round(x / ln 2) falls into the low bits of a sum with 1.5·2²³, and r = x − n·ln 2 is in ±0.3466. ln 2 comes in two
  // parts, the first with enough zeros at its end for n times it to be exact.
  const big = constant(EXP, 3);
  const shifted = f32x4.add(f32x4.mul(bounded, constant(EXP, 2)), big);
  const n = f32x4.sub(shifted, big);
  const r = nmadd(n, constant(EXP, 5), nmadd(n, constant(EXP, 4), bounded));
  // e^r = 1 + r + r²·q(r), q to 3e-9 of e^r.
  let q = madd(r, constant(EXP, 6), constant(EXP, 7));
  q = madd(q, r, constant(EXP, 8));
  q = madd(q, r, constant(EXP, 9));
  q = madd(q, r, constant(EXP, 10));
  const one = constant(EXP, ONE);
  const p = f32x4.add(one, madd(f32x4.mul(r, r), q, r));
  // 2ⁿ in two factors, as n goes past both ends of the exponent. The bits of 1 are the exponent's bias in its place.
  const whole = i32x4.sub(shifted, big);
  const half = i32x4.shr_s(whole, 1);
  const low = i32x4.add(i32x4.shl(half, 23), one);
  const high = i32x4.add(i32x4.shl(i32x4.sub(whole, half), 23), one);
  return f32x4.mul(f32x4.mul(p, low), high);
}

/** 1 / (1 + e^−x). */
@inline
export function sigmoid(x: v128): v128 {
  const one = constant(EXP, ONE);
  return f32x4.div(one, f32x4.add(one, exp(f32x4.neg(x))));
}

const NORMAL = memory.data<f32>([
  0.25, 0.0197819751, -0.0808771625, 0.0955968127, -0.0317172632, 0.0636989623, 0.0589751974, 0.0816031024, 0.0934663564,
  0.0997364298, 0.0997355655, -0.5,
]);

/**
 * Φ(x), the standard normal distribution function, (1 + erf(x/√2)) / 2. `bell` is e^(−x²/2).
 * Φ(−|x|) = e^(−x²/2)·t·c(t) with t = 1/(1 + |x|/4) and c of degree 9, to 3.4e-8 of its value before rounding: tails keep
 * their digits, which 1 + erf would lose.
 */
@inline
export function normalCdf(x: v128, bell: v128): v128 {
  const one = constant(EXP, ONE);
  const t = f32x4.div(one, madd(f32x4.abs(x), constant(NORMAL, 0), one));
  let c = madd(t, constant(NORMAL, 1), constant(NORMAL, 2));
  c = madd(c, t, constant(NORMAL, 3));
  c = madd(c, t, constant(NORMAL, 4));
  c = madd(c, t, constant(NORMAL, 5));
  c = madd(c, t, constant(NORMAL, 6));
  c = madd(c, t, constant(NORMAL, 7));
  c = madd(c, t, constant(NORMAL, 8));
  c = madd(c, t, constant(NORMAL, 9));
  c = madd(c, t, constant(NORMAL, 10));
  const tail = f32x4.mul(f32x4.mul(c, t), bell);
  // The sign bit, spread, picks a side without a comparison with a constant.
  return v128.bitselect(tail, f32x4.sub(one, tail), i32x4.shr_s(x, 31));
}

/** e^(−x²/2). */
@inline
export function bellCurve(x: v128): v128 {
  return exp(f32x4.mul(f32x4.mul(x, x), constant(NORMAL, 11)));
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
