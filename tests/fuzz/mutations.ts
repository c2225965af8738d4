/** Damage to files, from a seed: to their bytes, and to the JSON they hold. */
import { Random } from '@parley/engine';

/** What breaks parsers: values at the ends of ranges, of other types, and names that every object has. */
const VALUES: readonly unknown[] = [
  null, true, false, 0, -0, 1, -1, 2, 0.5, 3, 255, 65_536, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 1e15, 1e308, -1e308, 1e-320, '', 'a', ' ', '0', '-1',
  'null', 'constructor', '__proto__', 'toString', 'hasOwnProperty', 'length', '../../etc/passwd', '\0', '\ud800', '\uffff', '🙂', 'x'.repeat(5_000), [], [[]], [null], {},
  { type: 'Sequence' }, { length: 5 }, Array.from({ length: 300 }, (_, i) => i), { toString: 1 },
];

const NAMES: readonly string[] = VALUES.filter((value) => typeof value === 'string').map((value) => value.slice(0, 50));

const pick = <T>(list: readonly T[], random: Random): T => structuredClone(list[random.below(list.length)] as T);

/** One to four changes to a copy. */
export function mutateBytes(bytes: Uint8Array, seed: number): Uint8Array {
  const random = new Random(seed);
  let result: Uint8Array = bytes.slice();
  for (let change = random.below(4); change >= 0; change--) result = changeBytes(result, random);
  return result;
}

function changeBytes(bytes: Uint8Array, random: Random): Uint8Array {
  // Headers are at the front, and most faults hide there.
  const place = random.below(2) === 0 ? random.below(Math.min(bytes.length, 64) + 1) : random.below(bytes.length + 1);
  const length = random.below(1 + Math.min(64, bytes.length - place));
  const insert = (piece: Uint8Array): Uint8Array => Uint8Array.from([...bytes.subarray(0, place), ...piece, ...bytes.subarray(place)]);
  switch (random.below(8)) {
    case 0:
      if (place < bytes.length) bytes[place] = (bytes[place] as number) ^ (1 << random.below(8));
      return bytes;
    case 1:
      if (place < bytes.length) bytes[place] = pick([0, 1, 0x22, 0x2c, 0x5b, 0x5d, 0x7b, 0x7d, 0x7f, 0x80, 0xff], random);
      return bytes;
    case 2:
      return bytes.slice(0, place);
    case 3:
      return Uint8Array.from([...bytes.subarray(0, place), ...bytes.subarray(place + length)]);
    case 4:
      return insert(bytes.slice(place, place + length));
    case 5:
      return insert(Uint8Array.from({ length: random.below(32) }, () => random.below(256)));
    case 6:
      bytes.fill(pick([0, 0x20, 0xff], random), place, place + length);
      return bytes;
    default: {
      const other = random.below(bytes.length + 1);
      bytes.copyWithin(place, other, other + length);
      return bytes;
    }
  }
}

/** One to three changes to a copy, as text: some damage is to the text itself. */
export function mutateJSON(value: unknown, seed: number): string {
  const random = new Random(seed);
  const copy = { root: structuredClone(value) };
  for (let change = random.below(3); change >= 0; change--) changeValue(copy, random);
  const text = JSON.stringify(copy.root) ?? 'null';
  if (random.below(8) > 0) return text;
  return new TextDecoder().decode(mutateBytes(new TextEncoder().encode(text), seed + 1));
}

type Container = Record<string, unknown>;

function changeValue(copy: { root: unknown }, random: Random): void {
  let holder = copy as Container;
  let key = 'root';
  // Down to a place: near the top more often than deep in a vocabulary.
  for (let depth = random.below(5); depth > 0; depth--) {
    const here = holder[key];
    if (typeof here !== 'object' || here === null || Object.keys(here).length === 0) break;
    holder = here as Container;
    key = pick(Object.keys(holder), random);
  }
  switch (random.below(8)) {
    case 0:
      if (Array.isArray(holder)) holder.splice(Number(key), 1);
      else delete holder[key];
      return;
    case 1:
      if (Array.isArray(holder)) holder.push(pick(VALUES, random));
      else holder[pick(NAMES, random)] = pick(VALUES, random);
      return;
    case 2:
      // A sequence in a sequence in a sequence …
      {
        const list = pick(['normalizers', 'decoders', 'pretokenizers', 'processors', '0'], random);
        for (let depth = pick([1, 40, 600], random); depth > 0; depth--) holder[key] = list === '0' ? [holder[key]] : { type: 'Sequence', [list]: [holder[key]] };
      }
      return;
    case 3: {
      const other = pick(Object.keys(holder), random);
      [holder[key], holder[other]] = [holder[other], holder[key]];
      return;
    }
    case 4: {
      const here = holder[key];
      holder[key] = typeof here === 'number' ? here * pick([-1, 0, 2, 0.5, 1e9, 1e18], random) + pick([0, 1, -1], random) : typeof here === 'string' ? here.slice(random.below(here.length + 1)) : [here, here];
      return;
    }
    default:
      holder[key] = pick(VALUES, random);
  }
}
