// @ts-nocheck
/**
 * Products of activations in int8 with weights in q4 or q8 (layout: quantized.ts).
 *
 * Activations are quantized first, into tiles of 8, 4, 2 or 1 tokens. A block of 32 columns of a tile of T tokens is, in bytes:
 *
 *     32·T codes   [column / 4][token][4], signed −127…127, so that one 32-bit load gives every lane a token's four columns
 *      4·T scales  [token]
 *      4·T sums    [token]: −zero · Σ codes, what the products with unsigned weights start from to come out signed
 *
 * That is 40 bytes a token, so the tile of token t starts at byte 40·t·blocks. Within a block everything is whole numbers; a
 * row's blocks are summed in f32 from first to last, by the same instructions for every size of tile, so that a token's result
 * does not depend on its company.
 *
 * Speed (2.3 GHz Xeon with AVX-VNNI, q4, one thread, weights in cache; docs/decisions.md): 1 token 26, 2 tokens 37, 4 and
 * more 52 billion products a second. A loop over the vectors of a block: written out, V8 spills and it is 20% slower.
 */
import { largest, Q4_CODES, Q4_ZERO, Q8_CODES, Q8_ZERO, SCALES } from './quantized';
import { loadTail, madd, storeTail } from './simd';

// AssemblyScript takes offsets of loads only as constants, and of what a generic function knows about itself only the size
// of a type is one. So tiles and formats are passed as types: `sizeof<Tokens>()` tokens to the tile.
type Tokens8 = u64;
type Tokens4 = u32;
type Tokens2 = u16;
type Tokens1 = u8;
type Q4 = u8;
type Q8 = u16;
/** q8 where the machine's dot product has no place for weights over 127. */
type Q8Words = u32;

/** Bytes a token takes in each block of a tile. */
const TOKEN_BLOCK: usize = 40;
/** Rows of weights read side by side, groups apart, for one token: as many streams as hide memory's latency. */
const STREAMS: u32 = 4;

/** The tile that the next of `left` tokens are in. One too large by a token is faster than two. */
@inline
function tileSize(left: u32): u32 {
  return left >= 7 ? 8 : left >= 3 ? 4 : left >= 2 ? 2 : 1;
}

/**
 * How the machine's dot product takes weights over 127, which relaxed SIMD leaves open: as they are (x86 with VNNI), as
 * signed numbers (ARM), or not at all (saturating in between: older x86). It is the same for all of a program's run.
 */
const UNSIGNED: u32 = 0;
const SIGNED: u32 = 1;
const SATURATING: u32 = 2;

function wideWeights(scratch: usize): u32 {
  if (!RELAXED) return UNSIGNED;
  // Through memory, so that no compiler answers in the machine's place.
  store<u64>(scratch, 0xffffffff7f7f7f7f);
  const sum = i32x4.extract_lane(dot(v128.load32_splat(scratch), v128.load32_splat(scratch, 4), i32x4.splat(0)), 0);
  return sum == 4 * 127 * 255 ? UNSIGNED : sum == -4 * 127 ? SIGNED : SATURATING;
}

/** c + a·w in each lane's four bytes; `a` signed, `w` unsigned (relaxed: up to 127, but see `wideWeights`). */
@inline
function dot(a: v128, w: v128, c: v128): v128 {
  return RELAXED ? i32x4.relaxed_dot_i8x16_i7x16_add_s(a, w, c) : wordDot(a, w, c);
}

/** The same in products of 16 bits: the bytes of a lane at even places, and those at odd ones. */
@inline
function wordDot(a: v128, w: v128, c: v128): v128 {
  const even = i32x4.dot_i16x8_s(i16x8.shr_s(i16x8.shl(a, 8), 8), v128.and(w, i16x8.splat(255)));
  return i32x4.add(i32x4.add(c, even), i32x4.dot_i16x8_s(i16x8.shr_s(a, 8), i16x8.shr_u(w, 8)));
}

/** out (N, R), w, tiles, bias (R) or 0, tokens (N), rows (R), blocks (C / 32), grain (groups), a (N, C), grain (tokens), bits: tiles from a */
export function quantizeActivations(args: usize, chunk: u32, scratch: usize): void {
  const tokens = load<u32>(args, 16);
  const blocks: usize = load<u32>(args, 24);
  const grain = load<u32>(args, 36);
  const zero = load<u32>(args, 40) == 4 ? Q4_ZERO : wideWeights(scratch) == SIGNED ? 0 : Q8_ZERO;
  const end = min(tokens, (chunk + 1) * grain);
  let a = load<u32>(args, 32) + chunk * grain * blocks * 128;
  for (let token = chunk * grain; token < end;) {
    const size = tileSize(tokens - token);
    let tile = load<u32>(args, 8) + token * blocks * TOKEN_BLOCK;
    for (let t = min(size, tokens - token); t > 0; t--, tile += 4) a = quantizeToken(a, tile, blocks, size, zero);
    token += size;
  }
}

/** One token's part of a tile; returns the end of its row of `a`. */
function quantizeToken(a: usize, tile: usize, blocks: usize, size: usize, zero: i32): usize {
  const step = 4 * size;
  for (const end = a + blocks * 128; a != end; a += 128) {
    const d = largest(a) / 127;
    // Anything over ∞ is 0, the code of every number of a block without a scale.
    const divisor = f32x4.splat(d == 0 ? Infinity : d);
    let sum = i32x4.splat(0);
    for (let at = a; at != a + 128; at += 64) {
      const first = i16x8.narrow_i32x4_s(rounded(at, divisor), rounded(at + 16, divisor));
      const second = i16x8.narrow_i32x4_s(rounded(at + 32, divisor), rounded(at + 48, divisor));
      // Over 127 comes only of scales so small that an f32 has no room for their digits.
      const codes = i8x16.max_s(i8x16.narrow_i16x8_s(first, second), i8x16.splat(-127));
      sum = i32x4.add(sum, i32x4.extadd_pairwise_i16x8_s(i16x8.extadd_pairwise_i8x16_s(codes)));
      v128.store_lane<u32>(tile, codes, 0);
      v128.store_lane<u32>(tile + step, codes, 1);
      v128.store_lane<u32>(tile + 2 * step, codes, 2);
      v128.store_lane<u32>(tile + 3 * step, codes, 3);
      tile += 4 * step;
    }
    sum = i32x4.add(sum, i32x4.shuffle(sum, sum, 2, 3, 0, 1));
    store<f32>(tile, d);
    store<i32>(tile + step, -zero * (i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1)));
    tile += 2 * step;
  }
  return a;
}

/** roundTiesToEven(x / divisor) as i32: with 1.5 · 2²³ added, a number's last bit is worth 1, so the addition rounds. */
@inline
function rounded(x: usize, divisor: v128): v128 {
  const shifter = f32x4.splat(12582912);
  return i32x4.sub(f32x4.add(f32x4.div(v128.load(x), divisor), shifter), shifter);
}

/** Arguments as `quantizeActivations`, which has made the tiles: out = a · wᵀ + bias */
export function matmulQ4(args: usize, chunk: u32, scratch: usize): void {
  product<Q4>(args, chunk, i8x16.splat(15));
}

export function matmulQ8(args: usize, chunk: u32, scratch: usize): void {
  const wide = wideWeights(scratch);
  if (wide == SATURATING) product<Q8Words>(args, chunk, i8x16.splat(0));
  else product<Q8>(args, chunk, i8x16.splat(wide == SIGNED ? <i8>Q8_ZERO : 0));
}

/** All tokens with a chunk of the weights, which stays in the cache meanwhile. */
@inline
function product<Format>(args: usize, chunk: u32, constant: v128): void {
  const tokens = load<u32>(args, 16);
  const start = chunk * load<u32>(args, 28);
  const end = min((load<u32>(args, 20) + 3) >> 2, start + load<u32>(args, 28));
  for (let token: u32 = 0; token < tokens;) {
    const size = tileSize(tokens - token);
    if (size == 8) multiplyTile<Tokens8, Format>(args, start, end, token, constant);
    else if (size == 4) multiplyTile<Tokens4, Format>(args, start, end, token, constant);
    else if (size == 2) multiplyTile<Tokens2, Format>(args, start, end, token, constant);
    else {
      const streamed = (end - start) & -STREAMS;
      if (streamed > 0) multiplyToken<Format>(args, start, start + streamed, token, constant);
      if (start + streamed < end) multiplyTile<Tokens1, Format>(args, start + streamed, end, token, constant);
    }
    token += size;
  }
}

@inline
function blockBytes<Format>(): usize {
  return (sizeof<Format>() == sizeof<Q4>() ? Q4_CODES : Q8_CODES) + SCALES;
}

/** The first four columns of two times four that a step of the loops below multiplies. `constant`: 15, for q8 what to take off. */
@inline
function lowWeights<Format>(w: usize, constant: v128): v128 {
  const codes = v128.load(w);
  return sizeof<Format>() == sizeof<Q4>() ? v128.and(codes, constant) : i8x16.sub(codes, constant);
}

@inline
function highWeights<Format>(w: usize, constant: v128): v128 {
  if (sizeof<Format>() == sizeof<Q4>()) return v128.and(i16x8.shr_u(v128.load(w), 4), constant);
  return i8x16.sub(v128.load(w, 16), constant);
}

/** c + a·w. For q8 without a wide dot product halving the weights and taking two of them would be slower: 8.6 to 13. */
@inline
function multiply<Format>(a: v128, w: v128, c: v128): v128 {
  return sizeof<Format>() == sizeof<Q8Words>() ? wordDot(a, w, c) : dot(a, w, c);
}

/** A block's part of the sum: products · (weights' scales · activation's scale). */
@inline
function addBlock(products: v128, scales: v128, scale: v128, sum: v128): v128 {
  return madd(f32x4.convert_i32x4_s(products), f32x4.mul(scales, scale), sum);
}

/** out (`left` or 4 rows) = sum + bias */
@inline
function finish(out: usize, bias: usize, left: u32, sum: v128): void {
  if (left >= 4) v128.store(out, bias != 0 ? f32x4.add(sum, v128.load(bias)) : sum);
  else storeTail(out, left, bias != 0 ? f32x4.add(sum, loadTail(bias, left, 0)) : sum);
}

/** Groups start…end of the weights with the tile at `token`. */
function multiplyTile<Tokens, Format>(args: usize, start: u32, end: u32, token: u32, constant: v128): void {
  const rows = load<u32>(args, 20);
  const blocks: usize = load<u32>(args, 24);
  const groupBytes = blocks * blockBytes<Format>();
  const tile = load<u32>(args, 8) + token * blocks * TOKEN_BLOCK;
  const whole = load<u32>(args, 16) - token >= sizeof<Tokens>();
  const outStride: usize = rows * 4;
  const out = load<u32>(args) + token * outStride;
  const bias: usize = load<u32>(args, 12);
  let w: usize = load<u32>(args, 4) + start * groupBytes;
  for (let row = start * 4; row < end * 4; row += 4) {
    let x = tile;
    let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
    for (const groupEnd = w + groupBytes; w != groupEnd;) {
      let c0 = v128.load32_splat(x, 36 * sizeof<Tokens>());
      let c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0, c7 = c0;
      if (sizeof<Tokens>() > 1) c1 = v128.load32_splat(x, 36 * sizeof<Tokens>() + 4);
      if (sizeof<Tokens>() > 2) {
        c2 = v128.load32_splat(x, 36 * sizeof<Tokens>() + 8);
        c3 = v128.load32_splat(x, 36 * sizeof<Tokens>() + 12);
      }
      if (sizeof<Tokens>() > 4) {
        c4 = v128.load32_splat(x, 36 * sizeof<Tokens>() + 16);
        c5 = v128.load32_splat(x, 36 * sizeof<Tokens>() + 20);
        c6 = v128.load32_splat(x, 36 * sizeof<Tokens>() + 24);
        c7 = v128.load32_splat(x, 36 * sizeof<Tokens>() + 28);
      }
      for (const codesEnd = x + 32 * sizeof<Tokens>(); x != codesEnd; x += 8 * sizeof<Tokens>()) {
        const low = lowWeights<Format>(w, constant), high = highWeights<Format>(w, constant);
        c0 = multiply<Format>(v128.load32_splat(x), low, c0);
        if (sizeof<Tokens>() > 1) c1 = multiply<Format>(v128.load32_splat(x, 4), low, c1);
        if (sizeof<Tokens>() > 2) {
          c2 = multiply<Format>(v128.load32_splat(x, 8), low, c2);
          c3 = multiply<Format>(v128.load32_splat(x, 12), low, c3);
        }
        if (sizeof<Tokens>() > 4) {
          c4 = multiply<Format>(v128.load32_splat(x, 16), low, c4);
          c5 = multiply<Format>(v128.load32_splat(x, 20), low, c5);
          c6 = multiply<Format>(v128.load32_splat(x, 24), low, c6);
          c7 = multiply<Format>(v128.load32_splat(x, 28), low, c7);
        }
        c0 = multiply<Format>(v128.load32_splat(x, 4 * sizeof<Tokens>()), high, c0);
        if (sizeof<Tokens>() > 1) c1 = multiply<Format>(v128.load32_splat(x, 4 * sizeof<Tokens>() + 4), high, c1);
        if (sizeof<Tokens>() > 2) {
          c2 = multiply<Format>(v128.load32_splat(x, 4 * sizeof<Tokens>() + 8), high, c2);
          c3 = multiply<Format>(v128.load32_splat(x, 4 * sizeof<Tokens>() + 12), high, c3);
        }
        if (sizeof<Tokens>() > 4) {
          c4 = multiply<Format>(v128.load32_splat(x, 4 * sizeof<Tokens>() + 16), high, c4);
          c5 = multiply<Format>(v128.load32_splat(x, 4 * sizeof<Tokens>() + 20), high, c5);
          c6 = multiply<Format>(v128.load32_splat(x, 4 * sizeof<Tokens>() + 24), high, c6);
          c7 = multiply<Format>(v128.load32_splat(x, 4 * sizeof<Tokens>() + 28), high, c7);
        }
        w += sizeof<Format>() == sizeof<Q4>() ? 16 : 32;
      }
      const scales = v128.load(w);
      s0 = addBlock(c0, scales, v128.load32_splat(x), s0);
      if (sizeof<Tokens>() > 1) s1 = addBlock(c1, scales, v128.load32_splat(x, 4), s1);
      if (sizeof<Tokens>() > 2) {
        s2 = addBlock(c2, scales, v128.load32_splat(x, 8), s2);
        s3 = addBlock(c3, scales, v128.load32_splat(x, 12), s3);
      }
      if (sizeof<Tokens>() > 4) {
        s4 = addBlock(c4, scales, v128.load32_splat(x, 16), s4);
        s5 = addBlock(c5, scales, v128.load32_splat(x, 20), s5);
        s6 = addBlock(c6, scales, v128.load32_splat(x, 24), s6);
        s7 = addBlock(c7, scales, v128.load32_splat(x, 28), s7);
      }
      w += SCALES;
      x += 8 * sizeof<Tokens>();
    }
    const left = rows - row;
    const b = bias != 0 ? bias + row * 4 : 0;
    let to = out + row * 4;
    finish(to, b, left, s0);
    if (sizeof<Tokens>() == 2) finish(to += outStride, b, left, s1);
    if (sizeof<Tokens>() > 2) {
      finish(to += outStride, b, left, s1);
      finish(to += outStride, b, left, s2);
      if (sizeof<Tokens>() > 4) {
        finish(to += outStride, b, left, s3);
        finish(to += outStride, b, left, s4);
        finish(to += outStride, b, left, s5);
        finish(to += outStride, b, left, s6);
        if (whole) finish(to += outStride, b, left, s7);
      } else if (whole) finish(to += outStride, b, left, s3);
    }
  }
}

/**
 * As multiplyTile with one token, over a multiple of STREAMS groups, in as many places at a time. One place after the other,
 * the processor does not read ahead fast enough: 16 billion weights a second on two threads, so 26.
 */
function multiplyToken<Format>(args: usize, start: u32, end: u32, token: u32, constant: v128): void {
  const rows = load<u32>(args, 20);
  const blocks: usize = load<u32>(args, 24);
  const groupBytes = blocks * blockBytes<Format>();
  const tile = load<u32>(args, 8) + token * blocks * TOKEN_BLOCK;
  const out = load<u32>(args) + token * rows * 4;
  const bias: usize = load<u32>(args, 12);
  const apart = (end - start) / STREAMS;
  const weights: usize = load<u32>(args, 4) + start * groupBytes;
  let w0 = weights, w1 = w0 + apart * groupBytes, w2 = w1 + apart * groupBytes, w3 = w2 + apart * groupBytes;
  for (let row = start * 4; row < (start + apart) * 4; row += 4) {
    let x = tile;
    let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
    for (const groupEnd = w0 + groupBytes; w0 != groupEnd;) {
      let c0 = v128.load32_splat(x, 36), c1 = c0, c2 = c0, c3 = c0;
      for (const codesEnd = x + 32; x != codesEnd; x += 8) {
        const a = v128.load32_splat(x), b = v128.load32_splat(x, 4);
        c0 = multiply<Format>(b, highWeights<Format>(w0, constant), multiply<Format>(a, lowWeights<Format>(w0, constant), c0));
        c1 = multiply<Format>(b, highWeights<Format>(w1, constant), multiply<Format>(a, lowWeights<Format>(w1, constant), c1));
        c2 = multiply<Format>(b, highWeights<Format>(w2, constant), multiply<Format>(a, lowWeights<Format>(w2, constant), c2));
        c3 = multiply<Format>(b, highWeights<Format>(w3, constant), multiply<Format>(a, lowWeights<Format>(w3, constant), c3));
        const step: usize = sizeof<Format>() == sizeof<Q4>() ? 16 : 32;
        w0 += step; w1 += step; w2 += step; w3 += step;
      }
      const scale = v128.load32_splat(x);
      s0 = addBlock(c0, v128.load(w0), scale, s0);
      s1 = addBlock(c1, v128.load(w1), scale, s1);
      s2 = addBlock(c2, v128.load(w2), scale, s2);
      s3 = addBlock(c3, v128.load(w3), scale, s3);
      w0 += SCALES; w1 += SCALES; w2 += SCALES; w3 += SCALES;
      x += 8;
    }
    const b = bias != 0 ? bias + row * 4 : 0;
    const to = out + row * 4;
    const next = apart * 16;
    const nextBias = bias != 0 ? next : 0;
    // Only the last of the four places can reach a group that is not full.
    finish(to, b, 4, s0);
    finish(to + next, b + nextBias, 4, s1);
    finish(to + 2 * next, b + 2 * nextBias, 4, s2);
    finish(to + 3 * next, b + 3 * nextBias, rows - row - 12 * apart, s3);
  }
}
