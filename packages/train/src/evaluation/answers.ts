/**
 * Answers to questions: exact match and token F1 with SQuAD's normalization (Rajpurkar et al., 2016). Chinese has no spaces,
 * so there, as in CMRC's script (Cui et al., 2019), every Chinese character is a token and Chinese punctuation goes too.
 */
import { PUNCTUATION, words } from './python-text.ts';

export type AnswerLanguage = 'en' | 'zh';

/** What remains of an answer: lower case, no punctuation, in English no articles. */
export function answerTokens(text: string, language: AnswerLanguage = 'en'): string[] {
  const lower = text.toLowerCase();
  if (language === 'zh') {
    return lower.replace(/[\p{P}\p{S}]/gu, ' ').match(/\p{Script=Han}|[^\s\p{Script=Han}]+/gu) ?? [];
  }
  const unmarked = Array.from(lower).filter((character) => !PUNCTUATION.has(character)).join('');
  return words(unmarked.replace(/(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu, ' '));
}

/** 0 or 1, and 0 to 1: against the reference it fits best. Two answers without tokens are the same, one without shares nothing. */
export function answerScore(prediction: string, references: readonly string[], language: AnswerLanguage = 'en'): { exact: number; f1: number } {
  const ours = answerTokens(prediction, language);
  let exact = 0;
  let f1 = 0;
  for (const reference of references) {
    const theirs = answerTokens(reference, language);
    if (ours.join(' ') === theirs.join(' ')) exact = 1;
    f1 = Math.max(f1, tokenF1(ours, theirs));
  }
  return { exact, f1 };
}

function tokenF1(ours: readonly string[], theirs: readonly string[]): number {
  if (ours.length === 0 || theirs.length === 0) return ours.length === theirs.length ? 1 : 0;
  const left = new Map<string, number>();
  for (const token of theirs) left.set(token, (left.get(token) ?? 0) + 1);
  let shared = 0;
  for (const token of ours) {
    const count = left.get(token) ?? 0;
    if (count > 0) shared++;
    left.set(token, count - 1);
  }
  return (2 * shared) / (ours.length + theirs.length);
}
