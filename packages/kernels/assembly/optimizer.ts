// @ts-nocheck
/** The optimizer's step and the norm it clips by. */
import { loadTail, madd, storeTail } from './simd';

/** partials (f64), x, size, grain (elements): partials[chunk] = Σ x² over the chunk, in f64 */
export function sumSquares(args: usize, chunk: u32, scratch: usize): void {
  const grain: usize = load<u32>(args, 12);
  const start = chunk * grain;
  const bytes = min(grain, load<u32>(args, 8) - start) << 2;
  const x = load<u32>(args, 4) + (start << 2);
  let a = f64x2.splat(0), b = f64x2.splat(0);
  let i: usize = 0;
  for (; i < bytes; i += 16) {
    const value = i + 16 <= bytes ? v128.load(x + i) : loadTail(x + i, (bytes - i) >> 2, 0);
    const low = f64x2.promote_low_f32x4(value);
    const high = f64x2.promote_low_f32x4(i64x2.shuffle(value, value, 1, 1));
    a = f64x2.add(a, f64x2.mul(low, low));
    b = f64x2.add(b, f64x2.mul(high, high));
  }
  const sum = f64x2.add(a, b);
  store<f64>(load<u32>(args) + (chunk << 3), f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1));
}

/** out, partials (f64), count: out = Σ partials, in order */
export function sumPartials(args: usize, chunk: u32, scratch: usize): void {
  const partials: usize = load<u32>(args, 4);
  const count = load<u32>(args, 8);
  let sum: f64 = 0;
  for (let i: u32 = 0; i < count; i++) sum += load<f64>(partials + (i << 3));
  store<f32>(load<u32>(args), <f32>sum);
}

/**
 * parameter, gradient, m, v, size, grain (elements), gradientScale, β₁, 1 − β₁, β₂, 1 − β₂, 1 / (1 − β₁^t), 1 / (1 − β₂^t),
 * ε, learningRate, weightDecay
 */
export function adamw(args: usize, chunk: u32, scratch: usize): void {
  const grain: usize = load<u32>(args, 20);
  const start = chunk * grain;
  const bytes = min(grain, load<u32>(args, 16) - start) << 2;
  const parameter = load<u32>(args) + (start << 2);
  const gradient = load<u32>(args, 4) + (start << 2);
  const firsts = load<u32>(args, 8) + (start << 2);
  const seconds = load<u32>(args, 12) + (start << 2);
  const gradientScale = v128.load32_splat(args, 24);
  const beta1 = v128.load32_splat(args, 28);
  const rest1 = v128.load32_splat(args, 32);
  const beta2 = v128.load32_splat(args, 36);
  const rest2 = v128.load32_splat(args, 40);
  const correction1 = v128.load32_splat(args, 44);
  const correction2 = v128.load32_splat(args, 48);
  const epsilon = v128.load32_splat(args, 52);
  const learningRate = v128.load32_splat(args, 56);
  const weightDecay = v128.load32_splat(args, 60);
  for (let i: usize = 0; i < bytes; i += 16) {
    const count = (bytes - i) >> 2;
    const full = count >= 4;
    const p = full ? v128.load(parameter + i) : loadTail(parameter + i, count, 0);
    const g = f32x4.mul(full ? v128.load(gradient + i) : loadTail(gradient + i, count, 0), gradientScale);
    const oldM = full ? v128.load(firsts + i) : loadTail(firsts + i, count, 0);
    const oldV = full ? v128.load(seconds + i) : loadTail(seconds + i, count, 0);
    const m = madd(rest1, g, f32x4.mul(beta1, oldM));
    const v = madd(f32x4.mul(rest2, g), g, f32x4.mul(beta2, oldV));
    const denominator = f32x4.add(f32x4.sqrt(f32x4.mul(v, correction2)), epsilon);
    const change = madd(weightDecay, p, f32x4.div(f32x4.mul(m, correction1), denominator));
    const newP = f32x4.sub(p, f32x4.mul(learningRate, change));
    if (full) {
      v128.store(firsts + i, m);
      v128.store(seconds + i, v);
      v128.store(parameter + i, newP);
    } else {
      storeTail(firsts + i, count, m);
      storeTail(seconds + i, count, v);
      storeTail(parameter + i, count, newP);
    }
  }
}
