// @ts-nocheck
/**
 * Kernels without reductions: element i of the result depends on element i of the inputs. A chunk is `grain` elements, a
 * multiple of 4, so only the last one has a tail.
 */
import { bellCurve, exp, normalCdf, sigmoid } from './math';
import { constant, loadTail, madd, storeTail } from './simd';

const GELU: u32 = 0;
const GELU_TANH: u32 = 1;

/** Bytes of chunk `chunk` of `size` elements. */
@inline
function chunkBytes(size: usize, grain: usize, chunk: u32): usize {
  return min(grain, size - chunk * grain) << 2;
}

/** Does nothing: what is left is the cost of an operation. */
export function empty(args: usize, chunk: u32, scratch: usize): void {}

/** out, size, grain, value */
export function fill(args: usize, chunk: u32, scratch: usize): void {
  const grain: usize = load<u32>(args, 8);
  const bytes = chunkBytes(load<u32>(args, 4), grain, chunk);
  const value = load<f32>(args, 12);
  const start = load<u32>(args) + ((chunk * grain) << 2);
  const end = start + bytes;
  let at = start;
  for (; at + 16 <= end; at += 16) v128.store(at, f32x4.splat(value));
  for (; at < end; at += 4) store<f32>(at, value);
}

/** out, x, bytes, grain (bytes) */
export function copy(args: usize, chunk: u32, scratch: usize): void {
  const grain: usize = load<u32>(args, 12);
  const start = chunk * grain;
  memory.copy(load<u32>(args) + start, load<u32>(args, 4) + start, min(grain, load<u32>(args, 8) - start));
}

/** out, a, b, size, grain */
export function add(args: usize, chunk: u32, scratch: usize): void {
  const grain: usize = load<u32>(args, 16);
  const bytes = chunkBytes(load<u32>(args, 12), grain, chunk);
  const offset = (chunk * grain) << 2;
  const out = load<u32>(args) + offset;
  const a = load<u32>(args, 4) + offset;
  const b = load<u32>(args, 8) + offset;
  let i: usize = 0;
  for (; i + 16 <= bytes; i += 16) v128.store(out + i, f32x4.add(v128.load(a + i), v128.load(b + i)));
  for (; i < bytes; i += 4) store<f32>(out + i, load<f32>(a + i) + load<f32>(b + i));
}

/** out, x, size, grain, factor */
export function scale(args: usize, chunk: u32, scratch: usize): void {
  const grain: usize = load<u32>(args, 12);
  const bytes = chunkBytes(load<u32>(args, 8), grain, chunk);
  const offset = (chunk * grain) << 2;
  const factor = load<f32>(args, 16);
  const out = load<u32>(args) + offset;
  const x = load<u32>(args, 4) + offset;
  let i: usize = 0;
  for (; i + 16 <= bytes; i += 16) v128.store(out + i, f32x4.mul(v128.load(x + i), f32x4.splat(factor)));
  for (; i < bytes; i += 4) store<f32>(out + i, load<f32>(x + i) * factor);
}

/** 2·√(2/π) with 0.044715 times and 3·0.044715 times it; 1/√(2π); a bound; 1. */
const CONSTANTS = memory.data<f32>([1.59576912, 0.0713548163, 0.214064449, 0.398942280, 80, 1]);

/** 2·√(2/π)·(x + 0.044715·x³): gelu_tanh is x·σ of this. */
@inline
function tanhArgument(x: v128): v128 {
  const cubic = madd(f32x4.mul(x, x), constant(CONSTANTS, 1), constant(CONSTANTS, 0));
  return f32x4.mul(x, cubic);
}

/** What x is multiplied with: all three activations are x times a distribution function. */
@inline
function gate(kind: u32, x: v128): v128 {
  if (kind == GELU) return normalCdf(x, bellCurve(x));
  return sigmoid(kind == GELU_TANH ? tanhArgument(x) : x);
}

/** The derivative of x·gate(x). */
@inline
function slope(kind: u32, x: v128): v128 {
  if (kind == GELU) {
    const bell = bellCurve(x);
    return madd(f32x4.mul(x, bell), constant(CONSTANTS, 3), normalCdf(x, bell));
  }
  // σ(u) + x·u′·σ(u)·(1 − σ(u)), with x·u′ = x for silu. 1 − σ(u) = e^−u·σ(u) keeps the digits that subtracting loses; the
  // bound on e^−u keeps it finite.
  const u = kind == GELU_TANH ? tanhArgument(x) : x;
  const rise = kind == GELU_TANH ? f32x4.mul(x, madd(f32x4.mul(x, x), constant(CONSTANTS, 2), constant(CONSTANTS, 0))) : x;
  const e = exp(f32x4.pmin(f32x4.neg(u), constant(CONSTANTS, 4)));
  const s = f32x4.div(constant(CONSTANTS, 5), f32x4.add(constant(CONSTANTS, 5), e));
  return madd(f32x4.mul(f32x4.mul(e, s), rise), s, s);
}

/** out, x, size, grain, kind */
export function activation(args: usize, chunk: u32, scratch: usize): void {
  const grain: usize = load<u32>(args, 12);
  const bytes = chunkBytes(load<u32>(args, 8), grain, chunk);
  const offset = (chunk * grain) << 2;
  const kind = load<u32>(args, 16);
  const out = load<u32>(args) + offset;
  const x = load<u32>(args, 4) + offset;
  let i: usize = 0;
  for (; i + 16 <= bytes; i += 16) {
    const value = v128.load(x + i);
    v128.store(out + i, f32x4.mul(value, gate(kind, value)));
  }
  if (i < bytes) {
    const value = loadTail(x + i, (bytes - i) >> 2, 0);
    storeTail(out + i, (bytes - i) >> 2, f32x4.mul(value, gate(kind, value)));
  }
}

/** dX, dOut, x, size, grain, kind */
export function activationBackward(args: usize, chunk: u32, scratch: usize): void {
  const grain: usize = load<u32>(args, 16);
  const bytes = chunkBytes(load<u32>(args, 12), grain, chunk);
  const offset = (chunk * grain) << 2;
  const kind = load<u32>(args, 20);
  const dX = load<u32>(args) + offset;
  const dOut = load<u32>(args, 4) + offset;
  const x = load<u32>(args, 8) + offset;
  let i: usize = 0;
  for (; i + 16 <= bytes; i += 16) {
    v128.store(dX + i, madd(v128.load(dOut + i), slope(kind, v128.load(x + i)), v128.load(dX + i)));
  }
  if (i < bytes) {
    const count = (bytes - i) >> 2;
    const sum = madd(loadTail(dOut + i, count, 0), slope(kind, loadTail(x + i, count, 0)), loadTail(dX + i, count, 0));
    storeTail(dX + i, count, sum);
  }
}

/** out, gate, up, size, grain, kind */
export function gated(args: usize, chunk: u32, scratch: usize): void {
  const grain: usize = load<u32>(args, 16);
  const bytes = chunkBytes(load<u32>(args, 12), grain, chunk);
  const offset = (chunk * grain) << 2;
  const kind = load<u32>(args, 20);
  const out = load<u32>(args) + offset;
  const x = load<u32>(args, 4) + offset;
  const up = load<u32>(args, 8) + offset;
  let i: usize = 0;
  for (; i + 16 <= bytes; i += 16) {
    const value = v128.load(x + i);
    v128.store(out + i, f32x4.mul(f32x4.mul(value, gate(kind, value)), v128.load(up + i)));
  }
  if (i < bytes) {
    const count = (bytes - i) >> 2;
    const value = loadTail(x + i, count, 0);
    storeTail(out + i, count, f32x4.mul(f32x4.mul(value, gate(kind, value)), loadTail(up + i, count, 0)));
  }
}

/** dGate or 0, dUp or 0, dOut, gate, up, size, grain, kind */
export function gatedBackward(args: usize, chunk: u32, scratch: usize): void {
  const grain: usize = load<u32>(args, 24);
  const bytes = chunkBytes(load<u32>(args, 20), grain, chunk);
  const offset = (chunk * grain) << 2;
  const kind = load<u32>(args, 28);
  const dGate = load<u32>(args);
  const dUp = load<u32>(args, 4);
  const dOut = load<u32>(args, 8) + offset;
  const x = load<u32>(args, 12) + offset;
  const up = load<u32>(args, 16) + offset;
  for (let i: usize = 0; i < bytes; i += 16) {
    const count = (bytes - i) >> 2;
    const full = count >= 4;
    const value = full ? v128.load(x + i) : loadTail(x + i, count, 0);
    const flow = full ? v128.load(dOut + i) : loadTail(dOut + i, count, 0);
    if (dGate != 0) {
      const at = dGate + offset + i;
      const change = f32x4.mul(f32x4.mul(flow, full ? v128.load(up + i) : loadTail(up + i, count, 0)), slope(kind, value));
      if (full) v128.store(at, f32x4.add(v128.load(at), change));
      else storeTail(at, count, f32x4.add(loadTail(at, count, 0), change));
    }
    if (dUp != 0) {
      const at = dUp + offset + i;
      const change = f32x4.mul(flow, f32x4.mul(value, gate(kind, value)));
      if (full) v128.store(at, f32x4.add(v128.load(at), change));
      else storeTail(at, count, f32x4.add(loadTail(at, count, 0), change));
    }
  }
}
