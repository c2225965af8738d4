/** Small pieces of what commands print. */
import { relative } from 'node:path';

/** 75 → "1 min 15 s", 7300 → "2 h 2 min". */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export const count = (amount: number, one: string): string => `${amount.toLocaleString('en')} ${one}${amount === 1 ? '' : 's'}`;

/** A word of a command line as a shell takes it, to be copied. */
export const quoted = (word: string): string => (/^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** A path from here, where it is below. */
export function shown(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith('..') || short === '' ? path : short;
}
