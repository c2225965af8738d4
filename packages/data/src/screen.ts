/**
 * The last looks at a document before it is tokenized, each only where it is asked for, in this order:
 *
 *   a near-duplicate of one that is kept → evaluation items (training documents only) → masking of personal data
 *
 * A document that holds evaluation items is not kept, so it makes nothing else a near-duplicate. Masking comes last: whether a document
 * is held out, and whether it is the same as another, does not depend on it.
 */
import { Decontaminator, type DecontaminationCounts, type DecontaminationOptions, type EvaluationItem } from './decontaminate.ts';
import type { Document } from './document.ts';
import { NearDuplicates } from './near-duplicates.ts';
import { maskPersonalData, type MaskOptions } from './personal-data.ts';
import { PERSONAL_DATA_KINDS, type PersonalDataKind } from './personal-data/finding.ts';

export interface ScreenOptions {
  /** Drop near-duplicates, by default those with a similarity of at least 0.7. */
  readonly nearDuplicates?: boolean | { readonly threshold?: number | undefined } | undefined;
  /** Mask personal data: of all kinds, or of these. */
  readonly maskPersonalData?: boolean | readonly PersonalDataKind[] | MaskOptions | undefined;
  /** Drop (or cut) training documents that contain these. Read once, before anything else. */
  readonly decontaminate?: (DecontaminationOptions & { readonly items: AsyncIterable<EvaluationItem> | Iterable<EvaluationItem> }) | undefined;
}

/** A source that is an exception: false leaves it as it is. */
export interface ScreenExceptions {
  readonly nearDuplicates?: boolean | undefined;
  readonly maskPersonalData?: boolean | undefined;
}

export type Screened =
  | { readonly keep: Document; readonly masked: Partial<Record<PersonalDataKind, number>>; readonly cutItems: boolean }
  | { readonly drop: 'near_duplicate'; readonly of: string; readonly why: string }
  | { readonly drop: 'contaminated'; readonly why: string };

/** What the manifest says of it all; null where it was not asked for. */
export interface ScreenReport {
  readonly nearDuplicates: {
    readonly threshold: number; readonly bands: number; readonly rows: number;
    /** Documents that later ones were compared with, and the memory that took. */
    readonly documents: number; readonly bytes: number;
  } | null;
  readonly maskedKinds: readonly PersonalDataKind[] | null;
  readonly decontamination: readonly DecontaminationCounts[] | null;
}

export const NOT_SCREENED: ScreenReport = { nearDuplicates: null, maskedKinds: null, decontamination: null };

export class Screen {
  readonly #near: NearDuplicates | null;
  readonly #mask: MaskOptions | null;
  readonly #decontaminator: Decontaminator | null;
  /** Of each document in the index, its source's number. */
  readonly #origins: number[] = [];
  readonly #sources: string[] = [];

  constructor(options: Omit<ScreenOptions, 'decontaminate'>, decontaminator: Decontaminator | null = null) {
    const { nearDuplicates = false, maskPersonalData: mask = false } = options;
    this.#near = nearDuplicates === false ? null : new NearDuplicates(nearDuplicates === true ? undefined : nearDuplicates.threshold);
    this.#mask = mask === false ? null : mask === true ? {} : 'length' in mask ? { kinds: mask } : mask;
    this.#decontaminator = decontaminator;
  }

  /** Reads the evaluation items. */
  static async of(options: ScreenOptions): Promise<Screen> {
    const { decontaminate } = options;
    return new Screen(options, decontaminate === undefined ? null : await Decontaminator.of(decontaminate.items, decontaminate));
  }

  get report(): ScreenReport {
    const near = this.#near;
    return {
      nearDuplicates: near === null ? null : { threshold: near.threshold, ...near.bands, documents: near.count, bytes: near.bytes },
      maskedKinds: this.#mask === null ? null : this.#mask.kinds ?? PERSONAL_DATA_KINDS,
      decontamination: this.#decontaminator?.report ?? null,
    };
  }

  /** Of all that decides what it does; undefined where it does nothing. */
  get key(): object | undefined {
    if (this.#near === null && this.#mask === null && this.#decontaminator === null) return undefined;
    return { near: this.#near?.threshold, mask: this.#mask, decontaminate: this.#decontaminator?.key };
  }

  /** What becomes of a document of a source; `heldOut`: nothing is trained on it. */
  look(document: Document, place: { source: string; heldOut: boolean; exceptions?: ScreenExceptions }): Screened {
    const { source, heldOut, exceptions = {} } = place;
    const near = exceptions.nearDuplicates === false ? null : this.#near;
    const original = near?.find(document) ?? null;
    if (original !== null) {
      const of = this.#sources[this.#origins[original.index] ?? 0] ?? source;
      return { drop: 'near_duplicate', of, why: `${Math.round(original.similarity * 100)}% like one of ${of === source ? 'this source' : of}` };
    }
    const clean = heldOut || this.#decontaminator === null ? { keep: document, cut: false } : this.#decontaminator.screen(document);
    if ('drop' in clean) return { drop: 'contaminated', why: `holds ${clean.sets.join(', ')}` };
    if (near !== null && near.add() !== null) this.#origins.push(this.#numberOf(source));
    if (this.#mask === null || exceptions.maskPersonalData === false) return { keep: clean.keep, masked: {}, cutItems: clean.cut };
    return { ...maskDocument(clean.keep, this.#mask), cutItems: clean.cut };
  }

  /** A document as it may be shown: masked where masking is asked for. */
  mask(document: Document): Document {
    return this.#mask === null ? document : maskDocument(document, this.#mask).keep;
  }

  #numberOf(source: string): number {
    const at = this.#sources.lastIndexOf(source);
    return at === -1 ? this.#sources.push(source) - 1 : at;
  }
}

/** A document with its personal data masked, turn by turn. */
export function maskDocument(document: Document, options: MaskOptions): { keep: Document; masked: Partial<Record<PersonalDataKind, number>> } {
  if (document.kind === 'text') {
    const { text, found } = maskPersonalData(document.text, options);
    return { keep: Object.keys(found).length === 0 ? document : { ...document, text }, masked: found };
  }
  const masked: Partial<Record<PersonalDataKind, number>> = {};
  const messages = document.messages.map((message) => {
    const { text, found } = maskPersonalData(message.content, options);
    for (const [kind, count] of Object.entries(found) as [PersonalDataKind, number][]) masked[kind] = (masked[kind] ?? 0) + count;
    return { ...message, content: text };
  });
  return { keep: Object.keys(masked).length === 0 ? document : { ...document, messages }, masked };
}
