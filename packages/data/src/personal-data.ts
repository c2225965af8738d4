/**
 * Masking of personal data: addresses of e-mail, telephone numbers, payment cards, bank accounts, numbers of identity and internet
 * addresses, each found by its form and, where it has one, its check digit. It knows no names and no postal addresses: those have no
 * form. It prefers leaving something over masking what is nobody's; docs/data.md gives the precision measured on four collections.
 *
 * No Node and no DOM: a server masks its logs with it, a page what it sends.
 */
import { findCards, findIbans } from './personal-data/bank.ts';
import { findEmails } from './personal-data/email.ts';
import { type Finding, PERSONAL_DATA_KINDS, type PersonalDataKind } from './personal-data/finding.ts';
import { findIdentities } from './personal-data/identity.ts';
import { findAddresses } from './personal-data/network.ts';
import { findPhones } from './personal-data/phone.ts';

/** What stands in the place of each kind: plain text to any tokenizer, and no markup of Parley's. */
export const PLACEHOLDERS: Readonly<Record<PersonalDataKind, string>> = {
  email: '<EMAIL>', phone: '<PHONE>', card: '<CARD>', iban: '<IBAN>', identity: '<ID>', ip: '<IP>',
};

export interface MaskOptions {
  /** Default: all. */
  readonly kinds?: readonly PersonalDataKind[] | undefined;
  readonly placeholders?: Partial<Readonly<Record<PersonalDataKind, string>>> | undefined;
}

export interface Masked {
  readonly text: string;
  /** How many of each kind were replaced; kinds that were not there are absent. */
  readonly found: Partial<Record<PersonalDataKind, number>>;
}

/** The text with placeholders for what `findPersonalData` finds. */
export function maskPersonalData(text: string, options: MaskOptions = {}): Masked {
  const findings = findPersonalData(text, options.kinds);
  if (findings.length === 0) return { text, found: {} };
  const found: Masked['found'] = {};
  let masked = '';
  let from = 0;
  for (const { kind, start, end } of findings) {
    masked += text.slice(from, start) + (options.placeholders?.[kind] ?? PLACEHOLDERS[kind]);
    from = end;
    found[kind] = (found[kind] ?? 0) + 1;
  }
  return { text: masked + text.slice(from), found };
}

/** In the order in which they claim a place: an account number that could also be called stays an account number. */
const FINDERS: readonly (readonly [kind: PersonalDataKind, find: (text: string) => Iterable<Finding>, needs: RegExp])[] = [
  ['email', findEmails, /@|\bat\b/i],
  ['iban', findIbans, /[A-Z]{2}\d{2}/],
  ['identity', findIdentities, /\d{6}|\d[ .-]\d|[A-Z]\d\d/],
  ['card', findCards, /\d{4}[ -]?\d{4}/],
  ['ip', findAddresses, /\d\.\d{1,3}\.\d|[23][0-9a-f]{3}:/i],
  ['phone', findPhones, /\d[\d .()（）\-‐‑–/\u00a0]{5,}\d/],
];

/** Where personal data stands, in order, without overlaps. */
export function findPersonalData(text: string, kinds: readonly PersonalDataKind[] = PERSONAL_DATA_KINDS): Finding[] {
  const plain = narrow(text);
  const findings: Finding[] = [];
  let claimed: Uint8Array | undefined;
  for (const [kind, find, needs] of FINDERS) {
    if (!kinds.includes(kind) || !needs.test(plain)) continue;
    for (const finding of find(plain)) {
      claimed ??= new Uint8Array(plain.length);
      if (claimed.subarray(finding.start, finding.end).includes(1)) continue;
      claimed.fill(1, finding.start, finding.end);
      findings.push(finding);
    }
  }
  return findings.sort((a, b) => a.start - b.start);
}

/** Full-width digits, letters and signs as their narrow kin, each one unit for one, so that places stay. */
function narrow(text: string): string {
  return /[！-～]/.test(text) ? text.replace(/[＋－．０-９＠Ａ-Ｚａ-ｚ]/g, (character) => String.fromCharCode(character.charCodeAt(0) - 0xfee0)) : text;
}
