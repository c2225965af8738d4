/** Payment cards (with Luhn's check digit, ISO/IEC 7812) and bank accounts (IBAN, ISO 13616). */
import { luhn, mod97 } from './checksums.ts';
import { digitsOf, type Finding, insideUrl } from './finding.ts';

/** As cards are printed: in fours, American Express's 4-6-5, Diners Club's 4-6-4; or without spaces. */
const CARD = /(?<![A-Za-z0-9_.,\-+*/#=])(?:\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1?\d{3})?|\d{4}([ -])\d{6}\2\d{4,5}|\d{14,19})(?![A-Za-z0-9_-]|[.,]\d)/g;

/** Issuers by their first digits and the lengths of their numbers. */
const ISSUERS: readonly (readonly [prefix: RegExp, lengths: readonly number[]])[] = [
  [/^4/, [16]], [/^(?:5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/, [16]], [/^3[47]/, [15]], [/^(?:6011|65|64[4-9])/, [16]],
  [/^35(?:2[89]|[3-8])/, [16]], [/^3(?:0[0-5]|[689])/, [14]], [/^62/, [16, 17, 18, 19]],
];

export function* findCards(text: string): Generator<Finding> {
  for (const match of text.matchAll(CARD)) {
    const digits = digitsOf(match[0]);
    if (!ISSUERS.some(([prefix, lengths]) => prefix.test(digits) && lengths.includes(digits.length)) || !luhn(digits)) continue;
    if (new Set(digits).size < 2 || insideUrl(text, match.index)) continue;
    yield { kind: 'card', start: match.index, end: match.index + match[0].length };
  }
}

/** Lengths by country, as SWIFT registers them. */
const IBAN_LENGTHS: Readonly<Record<string, number>> = Object.fromEntries(
  ('AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 ' +
    'GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ' +
    'ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ' +
    'ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30').split(' ').map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
);

export function* findIbans(text: string): Generator<Finding> {
  for (const match of text.matchAll(/(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?=[ -]?[A-Z0-9])/g)) {
    const length = IBAN_LENGTHS[match[0].slice(0, 2)];
    if (length === undefined) continue;
    let end = match.index;
    let iban = '';
    while (iban.length < length && end < text.length) {
      const character = text.charAt(end);
      if (/[A-Z0-9]/.test(character)) iban += character;
      else if (!/[ -]/.test(character) || !/[A-Z0-9]/.test(text.charAt(end + 1))) break;
      end++;
    }
    if (iban.length === length && !/[A-Za-z0-9]/.test(text.charAt(end)) && mod97(iban)) yield { kind: 'iban', start: match.index, end };
  }
}
