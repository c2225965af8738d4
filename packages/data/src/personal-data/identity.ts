/**
 * Numbers that states give to people. Each has a check digit, a date or a form that chance seldom meets; those that other numbers meet
 * by chance count only where their name stands before them (`label`).
 */
import { luhn, mod11, weighted } from './checksums.ts';
import { before, type Finding, insideUrl, isDate } from './finding.ts';

interface Scheme {
  readonly name: string;
  readonly pattern: RegExp;
  /** Of the match without spaces, dots, dashes and brackets; and of the match. */
  readonly holds: (number: string, written: string) => boolean;
  /** What has to stand shortly before it. */
  readonly label?: RegExp;
}

/** Neither letters, digits nor a further part of a number beside it; Chinese may stand there. */
const bounded = (body: string): RegExp => new RegExp(`(?<![A-Za-z0-9_.,\\-/])(?:${body})(?![A-Za-z0-9_]|[\\-.,]\\d)`, 'g');

/** A date in six digits, of either century. */
const dated = (year: string, month: string, day: string): boolean =>
  isDate(1900 + Number(year), Number(month), Number(day)) || isDate(2000 + Number(year), Number(month), Number(day));
const various = (number: string): boolean => new Set(number).size > 2;

const SSN = String.raw`(?!000|666|9)\d{3}SEP(?!00)\d{2}SEP(?!0000)\d{4}`;
const DNI_LETTERS = 'TRWAGMYFPDXBNJZSQVHLCKE';
const HETU_LETTERS = '0123456789ABCDEFHJKLMNPRSTUVWXY';
/** Of Italy's code: what a digit, or the letter of that number, is worth at an odd place. */
const CODICE_ODD = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];

export const IDENTITY_SCHEMES: readonly Scheme[] = [
  { name: 'United States, social security number', pattern: bounded(SSN.replaceAll('SEP', '-')), holds: various },
  {
    name: 'United States, social security number without dashes', pattern: bounded(SSN.replaceAll('SEP', ' ?')), holds: various,
    label: /(?:\bssn\b|social security)[^\d\n]{0,24}$/i,
  },
  {
    // Province, county, date of birth, serial number, MOD 11-2.
    name: 'China, resident identity number (GB 11643)', pattern: bounded(String.raw`[1-9]\d{5} ?(?:18|19|20)\d{2}[01]\d[0-3]\d ?\d{3}[\dXx]`),
    holds: (number) => /^(?:1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3])/.test(number) &&
      isDate(Number(number.slice(6, 10)), Number(number.slice(10, 12)), Number(number.slice(12, 14))) && mod11(number),
  },
  {
    name: 'China, resident identity number of 15 digits', pattern: bounded(String.raw`[1-9]\d{14}`),
    holds: (number) => dated(number.slice(6, 8), number.slice(8, 10), number.slice(10, 12)), label: /身(?:份|分)[^\d\n]{0,16}$/,
  },
  {
    name: 'Taiwan, national identity number', pattern: bounded(String.raw`[A-Z][1289]\d{8}`),
    holds: (number) => {
      const county = 'ABCDEFGHJKLMNPQRSTUVXYWZIO'.indexOf(number.charAt(0)) + 10;
      return (Math.floor(county / 10) + (county % 10) * 9 + weighted(number.slice(1), [8, 7, 6, 5, 4, 3, 2, 1, 1])) % 10 === 0;
    },
  },
  {
    name: 'Hong Kong, identity card number', pattern: bounded(String.raw`[A-Z]{1,2}\d{6}\([0-9A]\)`),
    holds: (number) => {
      const values = Array.from(number.padStart(9, ' '), (character) => (character === ' ' ? 36 : Number.parseInt(character, 36)));
      return values.reduce((sum, value, i) => sum + (9 - i) * value, 0) % 11 === 0;
    },
  },
  {
    name: 'South Korea, resident registration number', pattern: bounded(String.raw`\d{6}-[1-8]\d{6}`),
    holds: (number) => dated(number.slice(0, 2), number.slice(2, 4), number.slice(4, 6)) &&
      (11 - (weighted(number, [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]) % 11)) % 10 === Number(number.at(-1)),
  },
  {
    name: 'Spain, DNI and NIE', pattern: bounded(String.raw`(?:\d{8}|[XYZ]-?\d{7})-?[A-HJ-NP-TV-Z]`),
    holds: (number) => DNI_LETTERS[Number(number.slice(0, -1).replace(/^[XYZ]/, (letter) => String('XYZ'.indexOf(letter)))) % 23] === number.at(-1) && various(number.slice(0, -1)),
  },
  {
    name: 'Italy, codice fiscale', pattern: bounded(String.raw`[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]`),
    holds: (number) => {
      const values = Array.from(number.slice(0, 15), (character) => (/\d/.test(character) ? Number(character) : character.charCodeAt(0) - 65));
      return values.reduce((sum, value, i) => sum + (i % 2 === 0 ? (CODICE_ODD[value] ?? 0) : value), 0) % 26 === number.charCodeAt(15) - 65;
    },
  },
  {
    name: 'France, NIR', pattern: bounded(String.raw`[12] ?\d{2} ?(?:0[1-9]|1[0-2]) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}`),
    holds: (number) => {
      const digits = number.replace('2A', '19').replace('2B', '18');
      return 97 - (Number(digits.slice(0, 13)) % 97) === Number(digits.slice(13));
    },
  },
  {
    name: 'United Kingdom, national insurance number', pattern: bounded(String.raw`(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] \d{2} \d{2} \d{2} [A-D]`),
    holds: () => true,
  },
  {
    name: 'United Kingdom, national insurance number without spaces', pattern: bounded(String.raw`[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]`),
    holds: () => true, label: /(?:national insurance|\bnino?\b)[^\d\n]{0,24}$/i,
  },
  {
    name: 'Brazil, CPF', pattern: bounded(String.raw`\d{3}\.\d{3}\.\d{3}-\d{2}`),
    holds: (number) => various(number) && [9, 10].every((length) => {
      const sum = weighted(number, Array.from({ length }, (_, i) => length + 1 - i));
      return ((sum * 10) % 11) % 10 === Number(number[length]);
    }),
  },
  {
    name: 'Sweden, personnummer', pattern: bounded(String.raw`(?:19|20)?\d{6}[\-+]\d{4}`),
    holds: (number) => dated(number.slice(-10, -8), number.slice(-8, -6), number.slice(-6, -4)) && luhn(number.slice(-10).replace('+', '')),
  },
  {
    name: 'Finland, henkilötunnus', pattern: bounded(String.raw`[0-3]\d[01]\d{3}[\-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]`),
    holds: (_, written) => dated(written.slice(4, 6), written.slice(2, 4), written.slice(0, 2)) &&
      HETU_LETTERS[Number(written.slice(0, 6) + written.slice(7, 10)) % 31] === written.at(-1),
  },
  {
    name: 'Poland, PESEL', pattern: bounded(String.raw`\d{11}`), holds: (number) => weighted(number, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]) % 10 === 0,
    label: /pesel[^\d\n]{0,16}$/i,
  },
  {
    name: 'Canada, social insurance number', pattern: bounded(String.raw`\d{3}[ \-]?\d{3}[ \-]?\d{3}`), holds: luhn,
    label: /(?:social insurance|\bSIN\b)[^\d\n]{0,24}$/,
  },
  { name: 'India, Aadhaar', pattern: bounded(String.raw`[2-9]\d{3} ?\d{4} ?\d{4}`), holds: various, label: /(?:aadhaa?r|आधार)[^\d\n]{0,24}$/i },
  {
    name: 'passport', pattern: bounded(String.raw`[A-Z]{1,2}\d{7,8}|\d{9}`), holds: various,
    label: /(?:passport|护照|護照)[^\d\n]{0,8}(?:no\.?|number|号码?|號碼?|[:：#])[^\d\n]{0,4}$/i,
  },
];

export function* findIdentities(text: string): Generator<Finding> {
  for (const { pattern, holds, label } of IDENTITY_SCHEMES) {
    for (const match of text.matchAll(pattern)) {
      const [written] = match;
      if (!holds(written.replace(/[ .\-()]/g, ''), written)) continue;
      if (label !== undefined ? !label.test(before(text, match.index)) : insideUrl(text, match.index)) continue;
      yield { kind: 'identity', start: match.index, end: match.index + written.length };
    }
  }
}
