// @ts-nocheck
/**
 * Weights in blocks of 32 columns, 8 or 4 bits each and one f32 scale a block: their layout, and the way in and out of it.
 *
 * Four rows stand side by side (a group; the last one is filled up with rows of zeros), so that lane r of a vector is row r
 * and a dot product ends without summing across lanes. A block of a group is, in bytes:
 *
 *     q4   64 codes, 16 scales: vector j of 4 has columns 8j…8j+3 in its low halves and 8j+4…8j+7 in its high ones
 *     q8  128 codes, 16 scales: vector j of 8 has columns 4j…4j+3
 *
 * Byte 4r + i of a vector is row r, column i of its four; scale r is row r's. Codes are unsigned, with zero at 8 or 127.
 * Blocks of a group follow each other, then comes the next group: a group is one stream of memory.
 */

export const Q4_CODES: usize = 64;
export const Q8_CODES: usize = 128;
export const SCALES: usize = 16;
export const Q4_ZERO: i32 = 8;
export const Q8_ZERO: i32 = 127;

/** out, x (R, C), rows (R), columns (C), grain (groups), bits: out = x in q4 or q8 */
export function quantizeWeights(args: usize, chunk: u32, scratch: usize): void {
  const rows = load<u32>(args, 8);
  const columns: usize = load<u32>(args, 12);
  const grain = load<u32>(args, 16);
  const bits = load<u32>(args, 20);
  const stride = bits == 4 ? Q4_CODES + SCALES : Q8_CODES + SCALES;
  const groupBytes = (columns >> 5) * stride;
  const end = min((rows + 3) >> 2, (chunk + 1) * grain);
  for (let group = chunk * grain; group < end; group++) {
    const out = load<u32>(args) + group * groupBytes;
    const present = min(4, rows - group * 4);
    if (present < 4) memory.fill(out, 0, groupBytes);
    for (let r: usize = 0; r < present; r++) {
      const x = load<u32>(args, 4) + (group * 4 + r) * columns * 4;
      if (bits == 4) quantizeRow4(x, out + 4 * r, groupBytes);
      else quantizeRow8(x, out + 4 * r, groupBytes);
    }
  }
}

/** One row's lanes of the blocks of a group: `out` is the first of them. */
function quantizeRow4(x: usize, out: usize, groupBytes: usize): void {
  for (const end = out + groupBytes; out != end; out += Q4_CODES + SCALES, x += 128) {
    const d = extreme(x) / -8;
    store<f32>(out, d, Q4_CODES);
    for (let j: usize = 0; j < 4; j++) {
      const low = codes4(v128.load(x + 32 * j), d);
      const high = codes4(v128.load(x + 32 * j, 16), d);
      store<u32>(out + 16 * j, bytes(v128.or(low, i32x4.shl(high, 4))));
    }
  }
}

function quantizeRow8(x: usize, out: usize, groupBytes: usize): void {
  for (const end = out + groupBytes; out != end; out += Q8_CODES + SCALES, x += 128) {
    const d = largest(x) / 127;
    store<f32>(out, d, Q8_CODES);
    for (let j: usize = 0; j < 8; j++) {
      const codes = i32x4.add(codes8(v128.load(x + 16 * j), d), i32x4.splat(Q8_ZERO));
      store<u32>(out + 16 * j, bytes(codes));
    }
  }
}

/** max |x| of a block of 32; NaN if there is one. As integers: so f32 of one sign are in order, NaN above all, and it is faster. */
@inline
export function largest(x: usize): f32 {
  const magnitude = i32x4.splat(0x7fffffff);
  let m = v128.and(v128.load(x), magnitude);
  for (let at = x + 16; at != x + 128; at += 16) m = i32x4.max_s(m, v128.and(v128.load(at), magnitude));
  m = i32x4.max_s(m, i32x4.shuffle(m, m, 2, 3, 0, 1));
  return f32x4.extract_lane(i32x4.max_s(m, i32x4.shuffle(m, m, 1, 0, 3, 2)), 0);
}

/** The value of largest magnitude of a block of 32, the first on a tie, NaN passed over. */
@inline
function extreme(x: usize): f32 {
  const m = largest(x);
  if (m == m && !holds(x, -m)) return m;
  if (m == m && !holds(x, m)) return -m;
  let first: f32 = 0;
  for (let at = x; at != x + 128; at += 4) {
    const value = load<f32>(at);
    if (abs(value) > abs(first)) first = value;
  }
  return first;
}

@inline
function holds(x: usize, value: f32): bool {
  let found = f32x4.eq(v128.load(x), f32x4.splat(value));
  for (let at = x + 16; at != x + 128; at += 16) found = v128.or(found, f32x4.eq(v128.load(at), f32x4.splat(value)));
  return v128.any_true(found);
}

/** min(15, floor(x / d + 8.5)) in 32-bit lanes; 8, which stands for 0, where d is 0 or the quotient NaN. */
@inline
function codes4(x: v128, d: f32): v128 {
  if (d == 0) return i32x4.splat(Q4_ZERO);
  const code = f32x4.floor(f32x4.add(f32x4.div(x, f32x4.splat(d)), f32x4.splat(8.5)));
  const inRange = f32x4.pmax(f32x4.pmin(code, f32x4.splat(15)), f32x4.splat(0));
  return i32x4.trunc_sat_f32x4_s(v128.bitselect(inRange, f32x4.splat(<f32>Q4_ZERO), f32x4.eq(code, code)));
}

/** roundTiesToEven(x / d), −127…127 in 32-bit lanes; 0 where d is 0, which it also is where max|x| / 127 is too small for an f32. */
@inline
function codes8(x: v128, d: f32): v128 {
  if (d == 0) return i32x4.splat(0);
  const code = f32x4.nearest(f32x4.div(x, f32x4.splat(d)));
  return i32x4.trunc_sat_f32x4_s(f32x4.pmax(f32x4.pmin(code, f32x4.splat(127)), f32x4.splat(-127)));
}

/** Four lanes, each 0…255, as bytes. */
@inline
function bytes(lanes: v128): u32 {
  const halves = i16x8.narrow_i32x4_s(lanes, lanes);
  return i32x4.extract_lane(i8x16.narrow_i16x8_u(halves, halves), 0);
}

/** out (R, C), x, rows (R), columns (C), grain (groups), bits */
export function dequantizeWeights(args: usize, chunk: u32, scratch: usize): void {
  const rows = load<u32>(args, 8);
  const columns: usize = load<u32>(args, 12);
  const grain = load<u32>(args, 16);
  const end = min(rows, (chunk + 1) * grain * 4);
  for (let row = chunk * grain * 4; row < end; row++) {
    dequantizeRow(load<u32>(args, 4), row, columns, load<u32>(args, 20), load<u32>(args) + row * columns * 4);
  }
}

/** out (N, C), table, ids, count (N), columns (C), grain (rows), bits: out[n] = table[ids[n]] */
export function gatherQuantizedRows(args: usize, chunk: u32, scratch: usize): void {
  const columns: usize = load<u32>(args, 16);
  const grain = load<u32>(args, 20);
  const end = min(load<u32>(args, 12), (chunk + 1) * grain);
  for (let n = chunk * grain; n < end; n++) {
    const id = load<u32>(load<u32>(args, 8) + n * 4);
    dequantizeRow(load<u32>(args, 4), id, columns, load<u32>(args, 24), load<u32>(args) + n * columns * 4);
  }
}

function dequantizeRow(weights: usize, row: u32, columns: usize, bits: u32, out: usize): void {
  const stride = bits == 4 ? Q4_CODES + SCALES : Q8_CODES + SCALES;
  let w = weights + (row >> 2) * (columns >> 5) * stride + (row & 3) * 4;
  for (const end = out + columns * 4; out != end; out += 128, w += stride) {
    if (bits == 4) {
      const d = v128.load32_splat(w, Q4_CODES);
      for (let j: usize = 0; j < 4; j++) {
        const codes = v128.load32_zero(w + 16 * j);
        v128.store(out + 32 * j, weightsOf(v128.and(codes, i8x16.splat(15)), Q4_ZERO, d));
        v128.store(out + 32 * j, weightsOf(i8x16.shr_u(codes, 4), Q4_ZERO, d), 16);
      }
    } else {
      const d = v128.load32_splat(w, Q8_CODES);
      for (let j: usize = 0; j < 8; j++) v128.store(out + 16 * j, weightsOf(v128.load32_zero(w + 16 * j), Q8_ZERO, d));
    }
  }
}

/** (code − zero)·d of the first four bytes. */
@inline
function weightsOf(codes: v128, zero: i32, d: v128): v128 {
  const lanes = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(codes));
  return f32x4.mul(f32x4.convert_i32x4_s(i32x4.sub(lanes, i32x4.splat(zero))), d);
}
