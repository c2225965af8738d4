/**
 * Passwords as scrypt (RFC 7914) makes them unreadable. Parameters stand in front of the hash, so that they can be raised: who signs in
 * afterwards has theirs hashed anew.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { StoreError } from './types.ts';

export interface Cost {
  /** Blocks of memory, a power of two: N of 128·r bytes. */
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

/** OWASP's cheat sheet has five settings of the same strength; this is the one with 32 MiB, as sign-ins may come together. */
export const DEFAULT_COST: Cost = { N: 2 ** 15, r: 8, p: 3 };

const SALT_BYTES = 16;
const HASH_BYTES = 32;
const SHORTEST = 8;
const LONGEST = 1024;

/** As NIST SP 800-63B asks: eight characters at least, any characters, and the same ones however a keyboard composes them. */
export function checkPassword(password: string): void {
  const { length } = Array.from(password.normalize('NFKC'));
  if (length < SHORTEST) throw new StoreError('invalid', `the password has ${length} characters: it takes ${SHORTEST} or more`);
  if (length > LONGEST) throw new StoreError('invalid', `the password has ${length} characters: it takes ${LONGEST} at most`);
}

const derive = async (password: string, salt: Uint8Array, { N, r, p }: Cost): Promise<Buffer> =>
  await new Promise((resolve, reject) => {
    scrypt(password.normalize('NFKC'), salt, HASH_BYTES, { N, r, p, maxmem: 128 * r * (N + p + 2) + 1024 }, (error, hash) => (error === null ? resolve(hash) : reject(error)));
  });

/** `scrypt$N$r$p$salt$hash`, both in base64. */
export async function hashPassword(password: string, cost: Cost): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const hash = await derive(password, salt, cost);
  return ['scrypt', cost.N, cost.r, cost.p, salt.toString('base64'), hash.toString('base64')].join('$');
}

export async function verifyPassword(password: string, kept: string): Promise<boolean> {
  const [, N, r, p, salt = '', hash = ''] = kept.split('$');
  const expected = Buffer.from(hash, 'base64');
  return timingSafeEqual(await derive(password, Buffer.from(salt, 'base64'), { N: Number(N), r: Number(r), p: Number(p) }), expected);
}

export const hasCost = (kept: string, { N, r, p }: Cost): boolean => kept.startsWith(`scrypt$${N}$${r}$${p}$`);
