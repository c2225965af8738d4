/** Filling, copying and scattering. */
import type { Tensor } from '../../tensor.ts';
import { type Args, floats, integers, place, rowWidth } from './memory.ts';
import { integerAt } from './vectors.ts';

export function fill(out: Tensor, value: number): void {
  floats(out).fill(value);
}

/** Any dtype: bytes are copied. */
export function copy({ out, x }: Args<'copy'>): void {
  const to = place(out);
  const from = place(x);
  const bytes = x.backend.byteLength(x.shape, x.dtype);
  new Uint8Array(to.buffer, to.byteOffset, bytes).set(new Uint8Array(from.buffer, from.byteOffset, bytes));
}

/** out (R, C), x (N, C), rows (N): how keys and values enter a KV cache. */
export function scatterRows({ out, x, rows }: Args<'scatterRows'>): void {
  const C = rowWidth(x);
  const outValues = floats(out);
  const xValues = floats(x);
  const rowOf = integers(rows);
  for (let n = 0; n < rowOf.length; n++) {
    outValues.set(xValues.subarray(n * C, (n + 1) * C), integerAt(rowOf, n) * C);
  }
}
