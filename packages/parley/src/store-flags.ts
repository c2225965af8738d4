/** What commands over the server's store have in common: where it is, and how lists are printed. */
import { type Command, InvalidArgumentError } from 'commander';
import { type Store, StoreError } from '@parley/server/store/types';
import { displayWidth } from './display-width.ts';
import { UsageError } from './errors.ts';

export interface StoreFlags {
  readonly data?: string;
  readonly database?: string;
  readonly json?: boolean;
}

export const storeFlags = (command: Command): Command => command
  .option('--data <folder>', 'the server\'s data folder (default: $PARLEY_DATA, then the XDG data folder)')
  .option('--database <url>', 'instead: postgres://… or sqlite:FILE')
  .option('--json', 'print JSON');

/** Opens the store, which is made where there is none, and closes it afterwards. What was asked wrongly becomes a UsageError. */
export async function withStore(flags: StoreFlags, run: (store: Store) => Promise<void>): Promise<void> {
  const { openStore, storeUrl } = await import('@parley/server/store');
  const url = storeUrl(flags);
  if (url === null) throw new UsageError('nothing is kept with --data none: name a folder');
  try {
    await using store = await openStore(url);
    await run(store);
  } catch (error) {
    if (error instanceof StoreError && (error.code === 'invalid' || error.code === 'conflict' || error.code === 'not_found')) throw new UsageError(error.message, { cause: error.cause });
    throw error;
  }
}

/** Columns of text, as wide as they need to be; empty for no rows. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(...[head, ...rows].map((row) => displayWidth(row[column] ?? title))));
  const line = (row: readonly string[]): string => row.map((cell, column) => cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - displayWidth(cell)))).join('  ').trimEnd();
  return rows.length === 0 ? '' : `${[head, ...rows].map(line).join('\n')}\n`;
}

/** 1795329124891 → "2026-11-22 10:32" (UTC); null → "-". */
export const moment = (at: number | null): string => (at === null ? '-' : new Date(at).toISOString().slice(0, 16).replace('T', ' '));

const UNITS = { h: 3600_000, d: 24 * 3600_000, w: 7 * 24 * 3600_000, y: 365 * 24 * 3600_000 } as const;

/** "90d", "12h", "2w", "1y" from now, or a date or time of ISO 8601. */
export function timeToCome(text: string): number {
  const [, count, unit] = /^(\d{1,6})([hdwy])$/.exec(text) ?? [];
  const at = count === undefined ? (/^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN) : Date.now() + Number(count) * UNITS[unit as keyof typeof UNITS];
  if (!Number.isFinite(at)) throw new InvalidArgumentError('It takes a time such as 12h, 90d, 2w, 1y or 2027-01-31.');
  return at;
}
