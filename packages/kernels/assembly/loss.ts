// @ts-nocheck
/** Softmax cross-entropy over rows of logits. */
import { exp, log } from './math';
import { loadTail, maxLanes, storeTail, sumLanes } from './simd';

/** losses, logSumExp, logits, targets, rows (N), columns (V), grain (rows), ignoreIndex */
export function crossEntropy(args: usize, chunk: u32, scratch: usize): void {
  const losses: usize = load<u32>(args);
  const sums: usize = load<u32>(args, 4);
  const targets: usize = load<u32>(args, 12);
  const bytes: usize = load<u32>(args, 20) << 2;
  const grain = load<u32>(args, 24);
  const ignoreIndex = load<i32>(args, 28);
  const end = min(load<u32>(args, 16), (chunk + 1) * grain);
  for (let n = chunk * grain; n < end; n++) {
    const x = load<u32>(args, 8) + n * bytes;
    const target = load<i32>(targets + (n << 2));
    const top = largest(x, bytes);
    const rest = log(sumExp(x, bytes, top));
    store<f32>(sums + (n << 2), top + rest);
    // In this order a loss near zero keeps its digits.
    store<f32>(losses + (n << 2), target == ignoreIndex ? 0 : top - load<f32>(x + (target << 2)) + rest);
  }
}

@inline
function largest(x: usize, bytes: usize): f32 {
  let most = f32x4.splat(-Infinity);
  let i: usize = 0;
  for (; i + 16 <= bytes; i += 16) most = f32x4.pmax(most, v128.load(x + i));
  if (i < bytes) most = f32x4.pmax(most, loadTail(x + i, (bytes - i) >> 2, -Infinity));
  return maxLanes(most);
}

/** Σ e^(x − shift) over a row. */
@inline
function sumExp(x: usize, bytes: usize, shift: f32): f32 {
  const center = f32x4.splat(shift);
  let a = f32x4.splat(0), b = f32x4.splat(0);
  let i: usize = 0;
  for (; i + 32 <= bytes; i += 32) {
    a = f32x4.add(a, exp(f32x4.sub(v128.load(x + i), center)));
    b = f32x4.add(b, exp(f32x4.sub(v128.load(x + i, 16), center)));
  }
  if (i + 16 <= bytes) {
    a = f32x4.add(a, exp(f32x4.sub(v128.load(x + i), center)));
    i += 16;
  }
  if (i < bytes) b = f32x4.add(b, exp(f32x4.sub(loadTail(x + i, (bytes - i) >> 2, -Infinity), center)));
  return sumLanes(f32x4.add(a, b));
}

/** dLogits, logits, logSumExp, targets, rows (N), columns (V), grain (rows), ignoreIndex, scale, of the target, of every logit, 2 · zLoss */
export function crossEntropyBackward(args: usize, chunk: u32, scratch: usize): void {
  const sums: usize = load<u32>(args, 8);
  const targets: usize = load<u32>(args, 12);
  const bytes: usize = load<u32>(args, 20) << 2;
  const grain = load<u32>(args, 24);
  const ignoreIndex = load<i32>(args, 28);
  const scale = load<f32>(args, 32);
  const ofTarget = load<f32>(args, 36);
  const ofEach = v128.load32_splat(args, 40);
  const twiceZ = load<f32>(args, 44);
  const end = min(load<u32>(args, 16), (chunk + 1) * grain);
  for (let n = chunk * grain; n < end; n++) {
    const dLogits = load<u32>(args) + n * bytes;
    const logits = load<u32>(args, 4) + n * bytes;
    const target = load<i32>(targets + (n << 2));
    if (target == ignoreIndex) {
      memory.fill(dLogits, 0, bytes);
      continue;
    }
    const sum = load<f32>(sums + (n << 2));
    const shift = f32x4.splat(sum);
    const factor = f32x4.splat(scale * (1 + twiceZ * sum));
    let i: usize = 0;
    for (; i + 16 <= bytes; i += 16) {
      v128.store(dLogits + i, f32x4.sub(f32x4.mul(exp(f32x4.sub(v128.load(logits + i), shift)), factor), ofEach));
    }
    if (i < bytes) {
      const count = (bytes - i) >> 2;
      storeTail(dLogits + i, count, f32x4.sub(f32x4.mul(exp(f32x4.sub(loadTail(logits + i, count, 0), shift)), factor), ofEach));
    }
    const at = dLogits + (target << 2);
    store<f32>(at, load<f32>(at) - ofTarget);
  }
}
