import { expect, test } from 'vitest';
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from './float16.ts';

/** Every 16-bit pattern. */
const ALL = Uint16Array.from({ length: 65_536 }, (_, i) => i);

const isNaN16 = (bits: number, fractionBits: number): boolean => {
  const infinity = 0x7fff - (2 ** fractionBits - 1);
  return (bits & 0x7fff) > infinity;
};

/** The nearest of the sorted values of a format by search, ties to the even pattern: slow and obvious. */
function nearestByDefinition(value: number, widen: (bits: number) => number, infinity: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  let low = 0;
  let high = infinity;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (widen(middle) <= magnitude) low = middle;
    else high = middle;
  }
  // Infinity stands where the next finite value would.
  const below = widen(low);
  const step = high === infinity ? below - widen(low - 1) : widen(high) - below;
  const distance = (magnitude - below) / step;
  if (magnitude === Infinity) return sign | infinity;
  if (distance < 0.5) return sign | low;
  if (distance > 0.5) return sign | high;
  return sign | (low % 2 === 0 ? low : high);
}

const widenOne = (convert: (halves: Uint16Array, out: Float32Array) => void) => {
  const table = new Float32Array(65_536);
  convert(ALL, table);
  return (bits: number): number => table[bits]!;
};

test('all 65,536 f16 values widen to the value of the definition and narrow back to the same bits', () => {
  const out = new Float32Array(65_536);
  f16ToF32(ALL, out);
  // An independent reading, where the runtime has one (Node 24): the bits seen through a Float16Array.
  const Native = (globalThis as { Float16Array?: new (buffer: ArrayBuffer) => ArrayLike<number> }).Float16Array;
  const native = Native === undefined ? null : new Native(ALL.slice().buffer);
  const back = new Uint16Array(65_536);
  f32ToF16(out, back);
  const wrong = [...ALL].filter((bits) => {
    if (isNaN16(bits, 10)) return !Number.isNaN(out[bits]) || !isNaN16(back[bits]!, 10);
    return back[bits] !== bits || (native !== null && !Object.is(out[bits], native[bits]));
  });
  expect(wrong).toEqual([]);
  expect([out[0x3c00], out[0x0001], out[0x7bff], out[0xfc00]]).toEqual([1, 2 ** -24, 65_504, -Infinity]);
});

test('all 65,536 bf16 values widen exactly and narrow back to the same bits', () => {
  const out = new Float32Array(65_536);
  bf16ToF32(ALL, out);
  const back = new Uint16Array(65_536);
  f32ToBf16(out, back);
  const view = new DataView(new ArrayBuffer(4));
  const wrong = [...ALL].filter((bits) => {
    view.setUint32(0, bits * 65_536);
    if (isNaN16(bits, 7)) return !Number.isNaN(out[bits]) || !isNaN16(back[bits]!, 7);
    return back[bits] !== bits || !Object.is(out[bits], view.getFloat32(0));
  });
  expect(wrong).toEqual([]);
});

for (const [name, widenAll, narrowAll, infinity] of [
  ['f16', f16ToF32, f32ToF16, 0x7c00],
  ['bf16', bf16ToF32, f32ToBf16, 0x7f80],
] as const) {
  test(`f32 to ${name} rounds to nearest, ties to even: between every two neighbours, and at random`, () => {
    const widen = widenOne(widenAll);
    const cases: number[] = [0, -0, Infinity, -Infinity, 1e-45, -1e-45, 3.4028234663852886e38, 65_519.99, 65_520, -65_520, 65_536];
    const step = new Float32Array(1);
    const stepBits = new Uint32Array(step.buffer);
    for (let bits = 0; bits + 1 < infinity; bits += name === 'f16' ? 1 : 7) {
      // The middle, and the f32 values beside it.
      step[0] = (widen(bits) + widen(bits + 1)) / 2;
      cases.push(step[0]);
      if (stepBits[0]! > 0) {
        stepBits[0]! -= 1;
        cases.push(step[0]);
        stepBits[0]! += 2;
        cases.push(-step[0]);
      }
    }
    let state = 12_345;
    for (let i = 0; i < 20_000; i++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      stepBits[0] = state;
      cases.push(Number.isNaN(step[0]) ? i : step[0]!);
    }
    const values = Float32Array.from(cases);
    const out = new Uint16Array(values.length);
    narrowAll(values, out);
    const wrong = [...values].filter((value, i) => out[i] !== nearestByDefinition(value, widen, infinity));
    expect(wrong).toEqual([]);
  });
}
