// @ts-nocheck
/** Layer norm and RMS norm over rows of `columns` elements, and their gradients. A mean of 0 turns the first into the second. */
import { loadTail, madd, storeTail, sumLanes } from './simd';

/** Σ x over a row. Two accumulators hide half of an addition's latency; rows are short. */
@inline
function sumRow(x: usize, bytes: usize): f32 {
  let a = f32x4.splat(0), b = f32x4.splat(0);
  let i: usize = 0;
  for (; i + 32 <= bytes; i += 32) {
    a = f32x4.add(a, v128.load(x + i));
    b = f32x4.add(b, v128.load(x + i, 16));
  }
  if (i + 16 <= bytes) {
    a = f32x4.add(a, v128.load(x + i));
    i += 16;
  }
  if (i < bytes) b = f32x4.add(b, loadTail(x + i, (bytes - i) >> 2, 0));
  return sumLanes(f32x4.add(a, b));
}

/** Σ (x − mean)² over a row. */
@inline
function sumSquaredDeviations(x: usize, bytes: usize, mean: f32): f32 {
  const center = f32x4.splat(mean);
  let a = f32x4.splat(0), b = f32x4.splat(0);
  let i: usize = 0;
  for (; i + 32 <= bytes; i += 32) {
    const p = f32x4.sub(v128.load(x + i), center);
    const q = f32x4.sub(v128.load(x + i, 16), center);
    a = madd(p, p, a);
    b = madd(q, q, b);
  }
  if (i + 16 <= bytes) {
    const p = f32x4.sub(v128.load(x + i), center);
    a = madd(p, p, a);
    i += 16;
  }
  if (i < bytes) {
    const q = f32x4.sub(loadTail(x + i, (bytes - i) >> 2, mean), center);
    b = madd(q, q, b);
  }
  return sumLanes(f32x4.add(a, b));
}

/** out, mean or 0 (RMS norm), rstd, x, weight, bias or 0, rows, columns, grain (rows), epsilon */
export function normalize(args: usize, chunk: u32, scratch: usize): void {
  const means: usize = load<u32>(args, 4);
  const rstds: usize = load<u32>(args, 8);
  const weight: usize = load<u32>(args, 16);
  const bias: usize = load<u32>(args, 20);
  const columns = load<u32>(args, 28);
  const grain = load<u32>(args, 32);
  const epsilon = load<f32>(args, 36);
  const bytes: usize = columns << 2;
  const end = min(load<u32>(args, 24), (chunk + 1) * grain);
  for (let n = chunk * grain; n < end; n++) {
    const out = load<u32>(args) + n * bytes;
    const x = load<u32>(args, 12) + n * bytes;
    let mean: f32 = 0;
    if (means != 0) {
      mean = sumRow(x, bytes) / <f32>columns;
      store<f32>(means + (n << 2), mean);
    }
    const rstd = <f32>1 / sqrt<f32>(sumSquaredDeviations(x, bytes, mean) / <f32>columns + epsilon);
    store<f32>(rstds + (n << 2), rstd);
    const center = f32x4.splat(mean);
    const factor = f32x4.splat(rstd);
    let i: usize = 0;
    for (; i + 16 <= bytes; i += 16) {
      const normal = f32x4.mul(f32x4.sub(v128.load(x + i), center), factor);
      const scaled = f32x4.mul(normal, v128.load(weight + i));
      v128.store(out + i, bias != 0 ? f32x4.add(scaled, v128.load(bias + i)) : scaled);
    }
    for (; i < bytes; i += 4) {
      const scaled = (load<f32>(x + i) - mean) * rstd * load<f32>(weight + i);
      store<f32>(out + i, bias != 0 ? scaled + load<f32>(bias + i) : scaled);
    }
  }
}

/**
 * dX, dOut, x, weight, mean or 0 (RMS norm), rstd, rows, columns, grain (rows).
 * With g = dOut·weight and x̂ = (x − mean)·rstd: dX += rstd·(g − mean(g) − x̂·mean(g·x̂)), where RMS norm has no mean(g).
 */
export function normalizeBackward(args: usize, chunk: u32, scratch: usize): void {
  const weight: usize = load<u32>(args, 12);
  const means: usize = load<u32>(args, 16);
  const columns = load<u32>(args, 28);
  const grain = load<u32>(args, 32);
  const bytes: usize = columns << 2;
  const end = min(load<u32>(args, 24), (chunk + 1) * grain);
  for (let n = chunk * grain; n < end; n++) {
    const dX = load<u32>(args) + n * bytes;
    const dOut = load<u32>(args, 4) + n * bytes;
    const x = load<u32>(args, 8) + n * bytes;
    const mean: f32 = means != 0 ? load<f32>(means + (n << 2)) : 0;
    const rstd = load<f32>(load<u32>(args, 20) + (n << 2));
    const center = f32x4.splat(mean);
    const factor = f32x4.splat(rstd);
    let sum = f32x4.splat(0), product = f32x4.splat(0);
    let i: usize = 0;
    for (; i + 16 <= bytes; i += 16) {
      const g = f32x4.mul(v128.load(dOut + i), v128.load(weight + i));
      sum = f32x4.add(sum, g);
      product = madd(g, f32x4.mul(f32x4.sub(v128.load(x + i), center), factor), product);
    }
    if (i < bytes) {
      const count = (bytes - i) >> 2;
      const g = f32x4.mul(loadTail(dOut + i, count, 0), loadTail(weight + i, count, 0));
      sum = f32x4.add(sum, g);
      product = madd(g, f32x4.mul(f32x4.sub(loadTail(x + i, count, 0), center), factor), product);
    }
    const meanG: f32 = means != 0 ? sumLanes(sum) / <f32>columns : 0;
    const meanProduct = sumLanes(product) / <f32>columns;
    i = 0;
    for (; i + 16 <= bytes; i += 16) {
      const g = f32x4.mul(v128.load(dOut + i), v128.load(weight + i));
      const normal = f32x4.mul(f32x4.sub(v128.load(x + i), center), factor);
      const inner = f32x4.sub(f32x4.sub(g, f32x4.splat(meanG)), f32x4.mul(normal, f32x4.splat(meanProduct)));
      v128.store(dX + i, madd(inner, factor, v128.load(dX + i)));
    }
    for (; i < bytes; i += 4) {
      const g = load<f32>(dOut + i) * load<f32>(weight + i);
      const normal = (load<f32>(x + i) - mean) * rstd;
      store<f32>(dX + i, load<f32>(dX + i) + rstd * (g - meanG - normal * meanProduct));
    }
  }
}

/**
 * dWeight or 0, dBias or 0, dOut, x, mean or 0 (RMS norm), rstd, rows, rowBytes, grain (bytes of a row):
 * dWeight += Σ dOut·x̂ and dBias += Σ dOut over the rows, in order. A chunk is a slice of the columns.
 */
export function normalizeBackwardWeight(args: usize, chunk: u32, scratch: usize): void {
  const rowBytes: usize = load<u32>(args, 28);
  const grain: usize = load<u32>(args, 32);
  const start = chunk * grain;
  const bytes = min(grain, rowBytes - start);
  const dWeight: usize = load<u32>(args);
  const dBias: usize = load<u32>(args, 4);
  const means: usize = load<u32>(args, 16);
  const rstds: usize = load<u32>(args, 20);
  const rows = load<u32>(args, 24);
  for (let n: u32 = 0; n < rows; n++) {
    const dOut = load<u32>(args, 8) + n * rowBytes + start;
    const x = load<u32>(args, 12) + n * rowBytes + start;
    const mean: f32 = means != 0 ? load<f32>(means + (n << 2)) : 0;
    const rstd = load<f32>(rstds + (n << 2));
    const center = f32x4.splat(mean);
    const factor = f32x4.splat(rstd);
    for (let i: usize = 0; i < bytes; i += 16) {
      const count = (bytes - i) >> 2;
      const full = count >= 4;
      const flow = full ? v128.load(dOut + i) : loadTail(dOut + i, count, 0);
      if (dWeight != 0) {
        const at = dWeight + start + i;
        const normal = f32x4.mul(f32x4.sub(full ? v128.load(x + i) : loadTail(x + i, count, 0), center), factor);
        if (full) v128.store(at, madd(flow, normal, v128.load(at)));
        else storeTail(at, count, madd(flow, normal, loadTail(at, count, 0)));
      }
      if (dBias != 0) {
        const at = dBias + start + i;
        if (full) v128.store(at, f32x4.add(flow, v128.load(at)));
        else storeTail(at, count, f32x4.add(flow, loadTail(at, count, 0)));
      }
    }
  }
}
