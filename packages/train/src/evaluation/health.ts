/** Whether generated text is healthy, whatever it says: not empty, not going round in circles, in the right script. */

/** Languages and the scripts they are written in. */
const SCRIPTS: Readonly<Record<string, RegExp>> = {
  zh: /\p{Script=Han}/gu, ja: /[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Han}]/gu, ko: /\p{Script=Hangul}/gu,
  ru: /\p{Script=Cyrillic}/gu, uk: /\p{Script=Cyrillic}/gu, ar: /\p{Script=Arabic}/gu, el: /\p{Script=Greek}/gu, he: /\p{Script=Hebrew}/gu,
};
const LATIN = /\p{Script=Latin}/gu;

const REPEATED_LENGTH = 4;

export interface TextHealth {
  readonly empty: boolean;
  /** The share of runs of four words (or Chinese characters) that occurred before in the text: 0 to 1. */
  readonly repeated: number;
  /** At least half of the text's runs of four repeat earlier ones. */
  readonly circling: boolean;
  /** Most of its letters are of another script than the language's. A text without letters is not. */
  readonly wrongLanguage: boolean;
}

/** `language`: a two-letter code; those not known here are taken to be written in Latin letters. */
export function textHealth(text: string, language?: string): TextHealth {
  const units = text.toLowerCase().match(/\p{Script=Han}|[^\s\p{Script=Han}]+/gu) ?? [];
  const runs = Math.max(0, units.length - REPEATED_LENGTH + 1);
  const distinct = new Set(Array.from({ length: runs }, (_, i) => units.slice(i, i + REPEATED_LENGTH).join(' ')));
  const repeated = runs === 0 ? 0 : 1 - distinct.size / runs;
  return { empty: text.trim() === '', repeated, circling: repeated >= 0.5, wrongLanguage: language !== undefined && isWrongLanguage(text, language) };
}

function isWrongLanguage(text: string, language: string): boolean {
  const letters = text.match(/\p{L}/gu)?.length ?? 0;
  const own = text.match(SCRIPTS[language] ?? LATIN)?.length ?? 0;
  return letters > 0 && own < letters / 2;
}
