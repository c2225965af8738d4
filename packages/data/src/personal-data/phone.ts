/**
 * Telephone numbers. A run of digits is one if it has the form of a country's numbers (with the separators that people put there), or
 * if a word before it says so ("call", 电话). Years, dates, prices, decimals, serial numbers, ISBNs and what stands in an address of the
 * web are not.
 */
import { isbn } from './checksums.ts';
import { before, digitsOf, type Finding, insideUrl } from './finding.ts';

/** Digits with what may stand between the groups of a telephone number. At least seven digits follow from `FORMS`. */
const RUN = /(?<![A-Za-z0-9_])(?:\+|[(（]\+?)?\d(?:[\d\u00a0 .()（）\-‐‑–/]{5,70}\d)/g;

const LABEL = /(?:\b(?:tele?(?:phone)?|phone|fax|mob(?:ile)?|cell(?:phone)?|call|ring|dial|txt|text|sms|whats\s?app|contact|hotline|landline|voicemail|reach(?:ed)?)\b|电话|電話|手机|手機|号码|號碼|热线|熱線|传真|傳真|致电|致電|联系方式|聯絡|拨打|撥打|座机|打给|联系)[^\p{L}\d\n]{0,4}(?:(?:no|nr|num(?:ber)?|is|now|us|me|him|her|them|free|on|at|号码?|為|为|是)[^\p{L}\d\n]{0,3}){0,3}$/iu;
/** Words after which even digits without a form are a number to call. */
const STRONG = /(?:\b(?:tele?(?:phone)?|phone|fax|mob(?:ile)?|cell(?:phone)?|call|ring|dial|txt|text|whats\s?app|hotline|contact number|(?:their|its|his|her|my|your) number(?= is))\b|电话|電話|手机|手機|热线|熱線|传真|傳真|致电|致電|联系方式|拨打|撥打|座机)[^\p{L}\d\n]{0,4}(?:(?:no|nr|num(?:ber)?|is|now|us|me|him|her|them|free|on|at|号码?|為|为|是)[^\p{L}\d\n]{0,3}){0,3}$/iu;
const NUMBERED = /(?:\b(?:isbn|issn|doi|pmid|pmc|arxiv|oclc|lccn|ean|upc|asin|rfc|patent|serial|order|ticket|invoice|account|acct|model|part|version|id|no|nr)\b|[№#§$€£¥₤￥]|书号|刊号|编号|订单|單號|单号|帐号|账号|群|群号|qq)[\s.:：#]{0,3}$/i;
const AMOUNT = /^\s?(?:[%°€$£¥]|(?:km|kg|m|cm|mm|g|mb|gb|kb|bytes?|bits?|hz|khz|mhz|ghz|years?|people|million|billion|元|人|年|米|公里|千克|吨|个|次|万|亿|字节|位)\b|[元人年米吨个次万亿])/iu;

/** Every country's calling code (ITU-T E.164). */
const CALLING_CODE = /^(?:1[2-9]|7[3-9]|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|(?:2[1-689]|3[578]|42|5[09]|6[789]|8[0578]|9[679])\d)/;

interface Form {
  readonly pattern: RegExp;
  /** Of its digits. */
  readonly holds?: (digits: string, written: string) => boolean;
  /** Without separators it is a number like any other: Chinese or a label has to stand beside it. */
  readonly solid?: 'needs company';
}

const FORMS: readonly Form[] = [
  {
    // International: +86 138 0013 8000, +44 (0)20 7946 0958, 0086-10-12345678.
    pattern: /^(?:\+|[(（]\+)\d{1,3}[)）]?(?:[ .\-\u00a0]?[(（]0?\d{0,5}[)）])?(?:[ .\-/\u00a0‐‑–]?\d{1,8}){1,6}$/,
    holds: (digits) => digits.length >= 8 && digits.length <= 16 && CALLING_CODE.test(digits),
  },
  {
    pattern: /^00[ -]?[1-9]\d{0,2}[ .-](?:[(（]0?\d{0,5}[)）][ .-]?)?\d{1,8}(?:[ .-]\d{2,8}){0,4}$|^00861[3-9]\d{9}$/,
    holds: (digits) => digits.length >= 11 && digits.length <= 17 && CALLING_CODE.test(digits.slice(2)),
  },
  {
    // North America: (415) 555-2671, 415-555-2671, 415.555.2671, 1-800-555-2671.
    pattern: /^(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}([.-]))[2-9]\d{2}(?:\1|-| )\d{4}$/,
    holds: (digits) => !/^1?[2-9](?:11|9)/.test(digits),
  },
  {
    // China, mobile: 13800138000, 138-0013-8000, 138 0013 8000.
    pattern: /^(?:86[ -]?)?1(?:3\d|4[5-9]|5[0-35-9]|6[2567]|7[0-8]|8\d|9[0-35-9])([ -]?)\d{4}\1\d{4}$/,
    solid: 'needs company',
  },
  {
    // China, fixed: 010-12345678, (0755) 1234567, 021 1234 5678; hotlines: 400-810-8888.
    pattern: /^(?:[(（]0(?:10|2\d|[3-9]\d{2})[)）][ -]?|0(?:10|2\d|[3-9]\d{2})-)[2-8]\d{2,3}[ -]?\d{4}(?:-\d{1,4})?$|^[48]00-(?:\d{3}-\d{4}|\d{4}-\d{3}|\d{7})$/,
  },
  {
    // United Kingdom, without spaces, and where the zone stands apart: 02079460958, 020 7946 0958, (0161) 496 0000, 07700 900123.
    pattern: /^[(（]?0(?:[1-357-9]\d{9}|[1-357-9]\d{1,4}[)）]?[ -]\d{3,8}(?:[ -]\d{3,6}){0,2})$/,
    holds: (digits, written) => (digits.length === 11 || (digits.length === 10 && /\D/.test(written))) && !/^\d{5}-\d{5}$/.test(written),
  },
  // France and others in pairs: 01 23 45 67 89.
  { pattern: /^0[1-9]([ .-])\d{2}\1\d{2}\1\d{2}\1\d{2}$/, holds: (digits) => !isCounting(digits) },
  // Japan, Korea, Germany, Italy …: 03-1234-5678, 010-1234-5678, 0221/123456.
  { pattern: /^0[1-9]\d{0,3}-\d{1,4}-\d{4}$|^0[1-9]\d{1,3}\/\d{5,8}$/, holds: (digits) => digits.length >= 9 && digits.length <= 11 },
  // Australia, Brazil: (02) 9876 5432, 0412 345 678, (11) 91234-5678.
  { pattern: /^\(0[23478]\) ?\d{4} ?\d{4}$|^04\d{2} \d{3} \d{3}$|^\([1-9]\d\) ?9?\d{4}-\d{4}$/ },
];

/** Digits that only a word before them makes a number to call. */
const LABELLED_FORM = /^[(（]?\+?\d{1,5}[)）]?(?:[ .\-/\u00a0‐‑–]?\d{2,12}){1,5}$/;

export function* findPhones(text: string): Generator<Finding> {
  for (const match of text.matchAll(RUN)) {
    let start = match.index;
    let written = match[0];
    // A bracket that opens a remark belongs to it.
    if (/^[(（]/.test(written) && !/[)）]/.test(written)) {
      written = written.slice(1);
      start++;
    }
    let taken = 0;
    for (const [offset, part] of candidates(written)) {
      const at = start + offset;
      const end = at + part.length;
      const place = { label: before(text, at), tail: text.slice(end, end + 12), whole: part === written };
      if (offset < taken || !isPhone(part, place) || insideUrl(text, at)) continue;
      yield { kind: 'phone', start: at, end };
      taken = offset + part.length;
    }
  }
}

/** Where a run may hold several things: at two spaces, a slash, a full stop or a bracket left open; and at every space. */
const PARTS = [/(?:(?! {2}| ?\/ ?|\. | ?[(（][^)）]*$).)+/g, /[^ \u00a0]+/g] as const;

/** The run as a whole, then its parts, the larger ones first. */
function* candidates(run: string): Generator<[offset: number, part: string]> {
  yield [0, run];
  for (const [index, pattern] of PARTS.entries()) {
    for (const match of run.matchAll(pattern)) {
      const part = match[0].trim();
      if (part.length < run.length && (index === 0 || part.length >= 10)) yield [match.index + match[0].indexOf(part), part];
    }
  }
}

/** What makes digits part of something larger: a word, a decimal, thousands, a product, the name of a file; or an amount. */
const GOES_ON = /^[A-Za-z_]|^[.:]\d|^,\d{3}(?![\d-])|^[)\]]?\s?[*×^]|^[)）]?\.(?:jpe?g|png|gif|svg|webp|tiff?|pdf|djvu|webm|og[gv]|mp[34])\b/i;
const GOES_BEFORE = /\d[.:]$|(?<!\d)\d{1,3},$|_[(（]?$|[$€£¥￥=^*]\s?$/;

/** `whole`: it is all of its run; beside other numbers, digits without separators need company too. */
function isPhone(written: string, { label, tail, whole }: { label: string; tail: string; whole: boolean }): boolean {
  const digits = digitsOf(written);
  if (GOES_ON.test(tail) || GOES_BEFORE.test(label)) return false;
  if (digits.length < 7 || digits.length > 17 || new Set(digits).size < 3 || isDateLike(written)) return false;
  if (NUMBERED.test(label) && !STRONG.test(label)) return false;
  if (/^97[89]/.test(digits) && isbn(digits)) return false;
  const plain = !/\D/.test(written);
  if (plain && AMOUNT.test(tail)) return false;
  const form = FORMS.find(({ pattern, holds }) => pattern.test(written) && (holds?.(digits, written) ?? true));
  if (form !== undefined && !(plain && (form.solid !== undefined || !whole))) return true;
  if (form !== undefined && (/\p{Script=Han}/u.test(label + tail) || LABEL.test(label))) return true;
  if (digits.length > 13 || new Set(digits).size < 4 || digits.startsWith('000') || !LABELLED_FORM.test(written) || AMOUNT.test(tail)) return false;
  if (STRONG.test(label)) return digits.length >= 7;
  return LABEL.test(label) && digits.length >= 10 && !digits.startsWith('1');
}

/** 01 02 03 04 05: a list. */
const isCounting = (digits: string): boolean => {
  const pairs = digits.match(/\d\d/g)?.map(Number) ?? [];
  return pairs.every((pair, i) => i === 0 || Math.abs(pair - (pairs[i - 1] ?? 0)) <= 1);
};

/** Years, spans of years, and days in numbers, wherever they stand in a run. */
const isDateLike = (written: string): boolean =>
  /(?<!\d)(?:1[0-9]|20)\d{2}\s?[-–./ ]\s?(?:1[0-9]|20)\d{2}(?!\d)|(?<!\d)(?:1[0-9]|20)\d{2}[-./–]\d{1,2}[-./–]\d{1,2}(?!\d)|(?<!\d)\d{1,2}[-./]\d{1,2}[-./](?:1[0-9]|20)\d{2}(?!\d)/.test(written) ||
  /^(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])(?:\d{2}){0,3}$/.test(written) || /^(?:(?:1[0-9]|20)\d{2}[ .–\-/]*)+$/.test(written);
