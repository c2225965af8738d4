/**
 * Beam search over one prompt, without the model: hypotheses, scores, and where their cache slots go. It follows transformers:
 * scores are sums of (processed) log-probabilities; a finished beam's score is divided by generatedLength^lengthPenalty; only
 * candidates among the best `numBeams` of a step may finish; `earlyStopping` decides when the search is over.
 *
 * With `draw`, candidates are drawn without replacement in proportion to exp(score) instead of being the best ("beam sample"):
 * the largest of scores to which Gumbel noise is added are such a draw (Kool et al., 2019).
 */
import type { Random } from '@parley/engine';
import { NoTokenError } from './errors.ts';
import type { LogProbabilities } from './log-probabilities.ts';
import { at, largest } from './select.ts';

/** Why a sequence ended. */
export type Ending = { readonly reason: 'stop' | 'length'; readonly stop: string | number | null };

export interface Beam {
  /** Prompt and generated tokens. */
  readonly tokens: readonly number[];
  /** Sum of the generated tokens' log-probabilities. */
  readonly score: number;
  /** The cache slot with the rows of all tokens but the last. */
  readonly slot: number;
  /** Of each generated token; empty unless asked for. */
  readonly logProbabilities: readonly LogProbabilities[];
}

export interface FinishedBeam {
  readonly tokens: readonly number[];
  /** Score with the length penalty: what beams are compared by. */
  readonly score: number;
  readonly logProbabilities: readonly LogProbabilities[];
  readonly ending: Ending;
}

export interface SlotCopy {
  readonly from: number;
  readonly to: number;
}

export interface BeamSearchOptions {
  readonly numBeams: number;
  readonly lengthPenalty: number;
  readonly earlyStopping: boolean | 'never';
  readonly prompt: readonly number[];
  /** Prompt and generated tokens at most. */
  readonly maxLength: number;
  /** `numBeams` of them; the first holds the prompt. */
  readonly slots: readonly number[];
  /** How many token ids may end a sequence: a step looks at so many more candidates. */
  readonly endingTokens: number;
  /** Whether `token` after `tokens` ends the sequence, for another reason than its length. */
  readonly endsWith: (tokens: readonly number[], token: number) => Ending | null;
  /** Draw candidates at random. */
  readonly draw?: Random | undefined;
}

/** The model's view of one running beam's next token. */
export interface BeamRow {
  /** (V), processed; −Infinity is forbidden. */
  readonly scores: Float32Array;
  /** The model's own log-probabilities of a token, when they are to be reported. */
  readonly report?: ((token: number) => LogProbabilities) | undefined;
}

interface Candidate {
  readonly parent: number;
  readonly token: number;
  /** What candidates are ordered by: the score, or the score with noise. */
  readonly rank: number;
  readonly score: number;
}

export class BeamSearch {
  readonly #options: BeamSearchOptions;
  readonly #noisy: Float64Array;
  #running: readonly Beam[];
  #finished: FinishedBeam[] = [];
  #done = false;

  constructor(vocabSize: number, options: BeamSearchOptions) {
    this.#options = options;
    this.#noisy = new Float64Array(options.draw === undefined ? 0 : vocabSize);
    this.#running = [{ tokens: options.prompt, score: 0, slot: options.slots[0] ?? 0, logProbabilities: [] }];
  }

  /** Best first. The first step has one: the prompt. */
  get running(): readonly Beam[] {
    return this.#running;
  }

  get done(): boolean {
    return this.#done;
  }

  /** Finished beams, best first. */
  get finished(): readonly FinishedBeam[] {
    return this.#finished;
  }

  /**
   * One step. `rows[b]` belongs to `running[b]`. Returns the slots to be copied before the next forward pass, rows of the
   * tokens up to now: a beam's first child stays where its parent is, others move into slots of beams that have none.
   */
  advance(rows: readonly BeamRow[]): SlotCopy[] {
    const { numBeams, lengthPenalty, prompt, maxLength, endsWith, endingTokens } = this.#options;
    const generated = (this.#running[0]?.tokens.length ?? 0) + 1 - prompt.length;
    const chosen: Candidate[] = [];
    const candidates = this.#candidates(rows, Math.max(2, 1 + endingTokens) * numBeams);
    for (const [place, candidate] of candidates.entries()) {
      const parent = this.#parent(candidate);
      const { token } = candidate;
      const full = parent.tokens.length + 1 >= maxLength;
      const ending = endsWith(parent.tokens, token) ?? (full ? { reason: 'length', stop: null } as const : null);
      if (ending === null) {
        if (chosen.length < numBeams) chosen.push(candidate);
      } else if (place < numBeams) {
        this.#finished.push({
          tokens: [...parent.tokens, token],
          score: candidate.score / generated ** lengthPenalty,
          logProbabilities: this.#report(rows, candidate),
          ending,
        });
      }
    }
    this.#finished.sort((a, b) => b.score - a.score);
    this.#finished.length = Math.min(this.#finished.length, numBeams);
    chosen.sort((a, b) => b.score - a.score);
    const { beams, copies } = this.#place(rows, chosen);
    this.#running = beams;
    this.#done = this.#isOver(generated);
    if (this.#done && this.#finished.length === 0) {
      throw new NoTokenError('every continuation is forbidden: loosen the n-gram blocking, the logit bias or the minimum length');
    }
    return this.#done ? [] : copies;
  }

  /** The best, or drawn, `count` continuations of all running beams, in order. */
  #candidates(rows: readonly BeamRow[], count: number): Candidate[] {
    const { draw } = this.#options;
    const all: Candidate[] = [];
    for (const [parent, { scores }] of rows.entries()) {
      const base = this.#running[parent]?.score ?? 0;
      let ranked: Float32Array | Float64Array = scores;
      if (draw !== undefined) {
        ranked = this.#noisy;
        for (let i = 0; i < scores.length; i++) {
          ranked[i] = scores[i] === -Infinity ? -Infinity : at(scores, i) - Math.log(-Math.log(1 - draw.uniform()));
        }
      }
      for (const token of largest(ranked, count)) {
        all.push({ parent, token, rank: base + at(ranked, token), score: base + at(scores, token) });
      }
    }
    return all.toSorted((a, b) => b.rank - a.rank || a.parent - b.parent || a.token - b.token).slice(0, count);
  }

  #place(rows: readonly BeamRow[], chosen: readonly Candidate[]): { beams: Beam[]; copies: SlotCopy[] } {
    const staying = new Set(chosen.map((candidate) => this.#parent(candidate).slot));
    const free = this.#options.slots.filter((slot) => !staying.has(slot));
    const copies: SlotCopy[] = [];
    const beams = chosen.map((candidate) => {
      const parent = this.#parent(candidate);
      let slot = parent.slot;
      // The first child takes its parent's slot; there are as many free ones as there are further children, or more.
      if (!staying.delete(slot)) {
        slot = free.pop() as number;
        copies.push({ from: parent.slot, to: slot });
      }
      return { tokens: [...parent.tokens, candidate.token], score: candidate.score, slot, logProbabilities: this.#report(rows, candidate) };
    });
    return { beams, copies };
  }

  #isOver(generated: number): boolean {
    const { numBeams, lengthPenalty, earlyStopping, prompt, maxLength } = this.#options;
    const best = this.#running[0];
    if (best === undefined) return true;
    if (this.#finished.length < numBeams) return false;
    if (earlyStopping === true) return true;
    // The best a running beam could become: as it is now, or, to be certain with scores that grow with length, at full length.
    const length = earlyStopping === 'never' && lengthPenalty > 0 ? maxLength - prompt.length : generated;
    return best.score / length ** lengthPenalty <= (this.#finished.at(-1)?.score ?? -Infinity);
  }

  #parent({ parent }: Candidate): Beam {
    return this.#running[parent] as Beam;
  }

  #report(rows: readonly BeamRow[], candidate: Candidate): readonly LogProbabilities[] {
    const report = rows[candidate.parent]?.report;
    const before = this.#parent(candidate).logProbabilities;
    return report === undefined ? before : [...before, report(candidate.token)];
  }
}
