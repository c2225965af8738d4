// @ts-nocheck
/** Rotary position embedding. */
import { loadTail, madd, nmadd, storeTail } from './simd';

const INVERSE: u32 = 1;
const ACCUMULATE: u32 = 2;

/**
 * out, x, positions, cos, sin, rows (N), heads (H), half (D/2), grain (rows), flags.
 * Each pair (x[i], x[i + D/2]) of each head turns by the angle of its row's position. `out` may be `x`.
 */
export function rotary(args: usize, chunk: u32, scratch: usize): void {
  const positions: usize = load<u32>(args, 8);
  const heads = load<u32>(args, 24);
  const halfBytes: usize = load<u32>(args, 28) << 2;
  const grain = load<u32>(args, 32);
  const flags = load<u32>(args, 36);
  const direction = f32x4.splat((flags & INVERSE) != 0 ? -1 : 1);
  const accumulate = (flags & ACCUMULATE) != 0;
  const rowBytes = heads * 2 * halfBytes;
  const end = min(load<u32>(args, 20), (chunk + 1) * grain);
  for (let n = chunk * grain; n < end; n++) {
    const table = load<u32>(positions + (n << 2)) * halfBytes;
    const cosines = load<u32>(args, 12) + table;
    const sines = load<u32>(args, 16) + table;
    for (let i: usize = 0; i < halfBytes; i += 16) {
      const count = (halfBytes - i) >> 2;
      const full = count >= 4;
      const cos = full ? v128.load(cosines + i) : loadTail(cosines + i, count, 0);
      const sin = f32x4.mul(full ? v128.load(sines + i) : loadTail(sines + i, count, 0), direction);
      let x = load<u32>(args, 4) + n * rowBytes + i;
      let out = load<u32>(args) + n * rowBytes + i;
      for (let head: u32 = 0; head < heads; head++, x += 2 * halfBytes, out += 2 * halfBytes) {
        const low = full ? v128.load(x) : loadTail(x, count, 0);
        const high = full ? v128.load(x + halfBytes) : loadTail(x + halfBytes, count, 0);
        let newLow = nmadd(high, sin, f32x4.mul(low, cos));
        let newHigh = madd(low, sin, f32x4.mul(high, cos));
        if (full) {
          if (accumulate) {
            newLow = f32x4.add(v128.load(out), newLow);
            newHigh = f32x4.add(v128.load(out + halfBytes), newHigh);
          }
          v128.store(out, newLow);
          v128.store(out + halfBytes, newHigh);
        } else {
          if (accumulate) {
            newLow = f32x4.add(loadTail(out, count, 0), newLow);
            newHigh = f32x4.add(loadTail(out + halfBytes, count, 0), newHigh);
          }
          storeTail(out, count, newLow);
          storeTail(out + halfBytes, count, newHigh);
        }
      }
    }
  }
}
