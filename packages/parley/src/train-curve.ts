/** Curves of letters: a braille character holds 2 × 4 dots, a block one of eight heights. */

interface Point { readonly x: number; readonly y: number }

/** Bits of a braille character's dots, by column and row from the top (Unicode chapter 21.1). */
const DOTS = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]] as const;

/**
 * A line over [1, most] within [low, high], `rows` lines of `columns` characters each. Points are in the order of x; columns between
 * two of them are drawn on the straight line from one to the other.
 */
export function brailleCurve(points: readonly Point[], box: { columns: number; rows: number; most: number; low: number; high: number }): string[] {
  const width = 2 * box.columns;
  const height = 4 * box.rows;
  const cells = Array.from({ length: box.rows }, () => Array.from({ length: box.columns }, () => 0));
  const put = (x: number, y: number): void => {
    const row = cells[y >> 2];
    const bits = DOTS[x & 1]?.[y & 3];
    if (row !== undefined && bits !== undefined) row[x >> 1] = (row[x >> 1] ?? 0) | bits;
  };
  const span = box.high - box.low || 1;
  let before: { x: number; y: number } | null = null;
  for (const point of points) {
    if (!Number.isFinite(point.y)) continue;
    const x = Math.max(0, Math.min(width - 1, Math.round(((point.x - 1) / Math.max(1, box.most - 1)) * (width - 1))));
    const y = Math.max(0, Math.min(height - 1, Math.round((1 - (point.y - box.low) / span) * (height - 1))));
    const from: { x: number; y: number } = before ?? { x, y };
    const steps = Math.max(Math.abs(x - from.x), Math.abs(y - from.y), 1);
    for (let i = 0; i <= steps; i++) put(Math.round(from.x + ((x - from.x) * i) / steps), Math.round(from.y + ((y - from.y) * i) / steps));
    before = { x, y };
  }
  return cells.map((row) => row.map((bits) => String.fromCharCode(0x2800 + bits)).join(''));
}

const BLOCKS = '▁▂▃▄▅▆▇█';

/** The last `columns` values, from the lowest of them to the highest. */
export function sparkline(values: readonly number[], columns: number): string {
  const shown = values.slice(-columns);
  const low = Math.min(...shown);
  const high = Math.max(...shown);
  return shown.map((value) => BLOCKS[high === low ? 0 : Math.round(((value - low) / (high - low)) * 7)] ?? ' ').join('');
}
