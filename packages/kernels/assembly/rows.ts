// @ts-nocheck
/** Kernels that move or add whole rows. */

/** out, x, rows, count (N), rowBytes, grain (rows): out[rows[n]] = x[n] */
export function scatterRows(args: usize, chunk: u32, scratch: usize): void {
  const out: usize = load<u32>(args);
  const x: usize = load<u32>(args, 4);
  const rows: usize = load<u32>(args, 8);
  const rowBytes: usize = load<u32>(args, 16);
  const grain = load<u32>(args, 20);
  const end = min(load<u32>(args, 12), (chunk + 1) * grain);
  for (let n = chunk * grain; n < end; n++) memory.copy(out + load<u32>(rows + (n << 2)) * rowBytes, x + n * rowBytes, rowBytes);
}

/** out, table, ids, count (N), rowBytes, grain (rows): out[n] = table[ids[n]] */
export function gatherRows(args: usize, chunk: u32, scratch: usize): void {
  const out: usize = load<u32>(args);
  const table: usize = load<u32>(args, 4);
  const ids: usize = load<u32>(args, 8);
  const rowBytes: usize = load<u32>(args, 16);
  const grain = load<u32>(args, 20);
  const end = min(load<u32>(args, 12), (chunk + 1) * grain);
  for (let n = chunk * grain; n < end; n++) memory.copy(out + n * rowBytes, table + load<u32>(ids + (n << 2)) * rowBytes, rowBytes);
}

/**
 * dTable, dOut, ids, count (N), rowBytes, grain (bytes of a row): dTable[ids[n]] += dOut[n] in the order of n.
 * A chunk is a slice of the columns, as two rows may add to the same one.
 */
export function gatherRowsBackward(args: usize, chunk: u32, scratch: usize): void {
  const rowBytes: usize = load<u32>(args, 16);
  const grain: usize = load<u32>(args, 20);
  const start = chunk * grain;
  const bytes = min(grain, rowBytes - start);
  const dTable = load<u32>(args) + start;
  let from = load<u32>(args, 4) + start;
  const ids: usize = load<u32>(args, 8);
  const count = load<u32>(args, 12);
  for (let n: usize = 0; n < count; n++, from += rowBytes) addTo(dTable + load<u32>(ids + (n << 2)) * rowBytes, from, bytes);
}

/** out, x, count (N), rowBytes, grain (bytes of a row): out += Σ x[n] in the order of n. A chunk is a slice of the columns. */
export function sumRows(args: usize, chunk: u32, scratch: usize): void {
  const rowBytes: usize = load<u32>(args, 12);
  const grain: usize = load<u32>(args, 16);
  const start = chunk * grain;
  const bytes = min(grain, rowBytes - start);
  const out = load<u32>(args) + start;
  let from = load<u32>(args, 4) + start;
  const count = load<u32>(args, 8);
  for (let n: u32 = 0; n < count; n++, from += rowBytes) addTo(out, from, bytes);
}

@inline
function addTo(out: usize, x: usize, bytes: usize): void {
  let i: usize = 0;
  for (; i + 16 <= bytes; i += 16) v128.store(out + i, f32x4.add(v128.load(out + i), v128.load(x + i)));
  for (; i < bytes; i += 4) store<f32>(out + i, load<f32>(out + i) + load<f32>(x + i));
}
