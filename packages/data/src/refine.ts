/** What becomes of one document of a source: cleaned, or dropped for a reason that has a name. */
import { type Change, cleanDocument, type CleanStep } from './clean.ts';
import type { Document } from './document.ts';
import { plainText } from './document.ts';
import { type DropReason, filterDocument, type Filters } from './filter.ts';
import { identifyLanguage, isAmong } from './language.ts';
import { isGarbled } from './mojibake.ts';
import { judgeQuality, type QualityThresholds } from './quality.ts';

export interface Refinement extends Filters {
  /** Cleaning steps besides the light ones (see clean.ts). */
  readonly clean?: readonly CleanStep[] | undefined;
  /** Lines that stand in more than so many documents of the source are removed from its texts. */
  readonly sharedLines?: number | undefined;
  /** Only documents in these languages: `en`, `zh`, `zh-Hans` (see language.ts). */
  readonly languages?: readonly string[] | undefined;
  /** Texts that break a rule are dropped; conversations are not judged. `{}` for the default thresholds. */
  readonly quality?: QualityThresholds | undefined;
}

/** Tells of each change as it is made: what the document's text, or a turn of it, was before and after. */
export type OnChange = (change: Change, before: string, after: string) => void;

export interface CleanSetting {
  /** False: not even the light steps. */
  readonly clean: boolean;
  readonly onChange?: OnChange | undefined;
}

/** The steps a source asks for, on a whole document as it was read. The light ones come after it was cut into parts. */
export function deepClean(
  document: Document, source: Refinement, { clean, onChange, shared }: CleanSetting & { shared?: { has(line: string): boolean } | undefined },
): { document: Document; changes: ReadonlySet<Change> } {
  const steps = source.clean ?? [];
  if (!clean || (steps.length === 0 && shared === undefined)) return { document, changes: NONE };
  return cleanDocument(document, { steps, shared, onChange });
}

const NONE: ReadonlySet<Change> = new Set();

export type Refined =
  | { readonly keep: Document; readonly cut: boolean; readonly changes: ReadonlySet<Change>; readonly language: string | null }
  | { readonly drop: DropReason; readonly document: Document; readonly why: string };

/** The light steps, then limits and patterns, then language, then quality. `why` is for a reader, empty where the reason says all. */
export function refineDocument(raw: Document, source: Refinement, { clean, onChange }: CleanSetting): Refined {
  const { document, changes } = clean ? cleanDocument(raw, { onChange }) : { document: raw, changes: NONE };
  const filtered = filterDocument(document, source);
  if ('drop' in filtered) return { drop: filtered.drop, document, why: '' };
  const { keep, cut } = filtered;
  const text = plainText(keep);
  if (clean && source.clean?.includes('mojibake') === true && isGarbled(text)) return { drop: 'mojibake', document: keep, why: '' };
  const judged = source.quality !== undefined && keep.kind === 'text';
  const language = judged || source.languages !== undefined ? identifyLanguage(text).language : null;
  if (source.languages !== undefined && !isAmong(language ?? 'und', source.languages)) return { drop: 'other_language', document: keep, why: language ?? '' };
  const poor = judged ? judgeQuality(text, source.quality, language ?? 'und') : null;
  if (poor !== null) return { drop: poor.rule, document: keep, why: `${round(poor.value)}, the limit is ${poor.threshold}` };
  return { keep, cut, changes, language };
}

const round = (value: number): number => Number(value.toPrecision(3));
