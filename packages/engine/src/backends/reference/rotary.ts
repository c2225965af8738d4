/** Rotary position embedding (Su et al., 2021, arXiv:2104.09864). */
import { type Args, floats, integers } from './memory.ts';
import { at, integerAt } from './vectors.ts';

/**
 * Turns the pair (x[i], x[i + D/2]) of every head by the angle whose cosine and sine stand at [position, i]. A rotation's
 * inverse is its transpose, so `inverse` is also the gradient. x, out (N, H, D); cos, sin (P, D/2).
 */
export function rotary({ out, x, positions, cos, sin, inverse = false, accumulate = false }: Args<'rotary'>): void {
  const [N, H, D] = [x.dim(0), x.dim(1), x.dim(2)];
  const half = D / 2;
  const outValues = floats(out);
  const xValues = floats(x);
  const positionValues = integers(positions);
  const cosines = floats(cos);
  const sines = floats(sin);
  for (let n = 0; n < N; n++) {
    const angles = integerAt(positionValues, n) * half;
    for (let h = 0; h < H; h++) {
      const head = (n * H + h) * D;
      for (let i = 0; i < half; i++) {
        const c = at(cosines, angles + i);
        const s = inverse ? -at(sines, angles + i) : at(sines, angles + i);
        const [low, high] = [head + i, head + i + half];
        // Both are read before either is written: `out` may be `x`.
        const first = at(xValues, low);
        const second = at(xValues, high);
        outValues[low] = (accumulate ? at(outValues, low) : 0) + first * c - second * s;
        outValues[high] = (accumulate ? at(outValues, high) : 0) + second * c + first * s;
      }
    }
  }
}
