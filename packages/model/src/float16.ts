/**
 * The two 16-bit float formats that weights are stored in, to and from f32. Widening is exact; narrowing rounds to nearest,
 * ties to even (IEEE 754). bf16 is the upper half of an f32; f16 has 5 bits of exponent and 10 of fraction.
 */

const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);

/** The f32 value of every f16, built on first use (256 KiB): a lookup widens faster than shifting does. */
let f16Values: Float32Array | null = null;

function widenF16(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function f16Table(): Float32Array {
  if (f16Values === null) {
    f16Values = new Float32Array(65_536);
    for (let half = 0; half < 65_536; half++) f16Values[half] = widenF16(half);
  }
  return f16Values;
}

/** out[i] = the value of the f16 with bits halves[i]. */
export function f16ToF32(halves: Uint16Array, out: Float32Array): void {
  const table = f16Table();
  for (let i = 0; i < halves.length; i++) out[i] = table[halves[i]!]!;
}

/** The value of the f16 whose two bytes, the lower first, begin at `at`. */
export function f16At(bytes: Uint8Array, at: number): number {
  return f16Table()[bytes[at]! | (bytes[at + 1]! << 8)]!;
}

/** out[i] = the value of the bf16 with bits halves[i]. */
export function bf16ToF32(halves: Uint16Array, out: Float32Array): void {
  const words = new Uint32Array(out.buffer, out.byteOffset, halves.length);
  for (let i = 0; i < halves.length; i++) words[i] = halves[i]! << 16;
}

/** Bits of the f16 nearest to an f32; beyond ±65,520 it is infinity. */
export function f16Bits(value: number): number {
  float[0] = value;
  const bits = word[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fff_ffff;
  if (magnitude > 0x7f80_0000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x3ff);
  // 65,520 lies half way between the largest f16, 65,504, and the next step: the tie goes to the even one, infinity.
  if (magnitude >= 0x477f_f000) return sign | 0x7c00;
  if (magnitude < 0x3880_0000) {
    // Below 2^-14 f16 is fixed point in steps of 2^-24. Adding 0.5 in f32 moves the value into the float's last bits, which are
    // worth 2^-24 there, and the addition rounds to nearest, ties to even.
    float[0] = Math.abs(value) + 0.5;
    return sign | (word[0]! - 0x3f00_0000);
  }
  // Re-bias the exponent (127 to 15) and round the 13 dropped bits; a carry out of the fraction raises the exponent as it should.
  const odd = (magnitude >>> 13) & 1;
  return sign | ((magnitude - 0x3800_0000 + 0xfff + odd) >>> 13);
}

/** out[i] = bits of the f16 nearest to values[i]. NaN stays NaN; what is too large becomes infinity. */
export function f32ToF16(values: Float32Array, out: Uint16Array): void {
  for (let i = 0; i < values.length; i++) out[i] = f16Bits(values[i]!);
}

/** out[i] = bits of the bf16 nearest to values[i]. NaN stays NaN. */
export function f32ToBf16(values: Float32Array, out: Uint16Array): void {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < values.length; i++) {
    const bits = words[i]!;
    const isNaN = (bits & 0x7fff_ffff) > 0x7f80_0000;
    out[i] = isNaN ? (bits >>> 16) | 0x40 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
  }
}
