/**
 * Tells a step that would do harm from the steps before it. A loss or gradient norm far outside its recent distribution, or no
 * number at all, is one bad batch or the beginning of the end: the update is left out, and said. Several in a row are no accident.
 *
 * Far is `threshold` times the spread above the median of the last steps that were taken. The spread is the median absolute
 * deviation (× 1.4826: a normal distribution's deviation), and at least a twentieth of the median for losses and the median itself
 * for gradient norms, whose healthy outliers clipping takes care of: in a run of small batches they went to seven times the median.
 */

/** Steps that are remembered, and how many have to be before any is judged. */
const WINDOW = 100;
const LEAST = 50;
/** So many left out in a row end the run. */
export const MOST_IN_A_ROW = 5;
/** Of a loss, in nats: where everything has been learned, the median and its deviation are nearly nothing. */
const LEAST_SPREAD = 0.05;

/** What a checkpoint keeps of it. */
export interface GuardState {
  /** Of the last steps taken, oldest first. */
  readonly losses: readonly number[];
  readonly norms: readonly number[];
  /** Steps left out in this stage, and since the last one taken. */
  readonly skipped: number;
  readonly inRow: number;
}

export class SpikeGuard {
  readonly #threshold: number;
  #losses: number[] = [];
  #norms: number[] = [];
  #skipped = 0;
  #inRow = 0;

  /** Infinity: only what is no number is left out. */
  constructor(threshold: number, state?: GuardState) {
    this.#threshold = threshold;
    if (state === undefined) return;
    this.#losses = [...state.losses];
    this.#norms = [...state.norms];
    this.#skipped = state.skipped;
    this.#inRow = state.inRow;
  }

  get state(): GuardState {
    return { losses: [...this.#losses], norms: [...this.#norms], skipped: this.#skipped, inRow: this.#inRow };
  }

  get skipped(): number {
    return this.#skipped;
  }

  /** Steps left out since the last one taken. */
  get inRow(): number {
    return this.#inRow;
  }

  /** Null: take the step. Otherwise why not, in words. Counts it either way. */
  judge(loss: number, gradientNorm: number): string | null {
    const reason = this.#reason(loss, gradientNorm);
    if (reason !== null) {
      this.#skipped++;
      this.#inRow++;
      return reason;
    }
    this.#inRow = 0;
    this.#losses = [...this.#losses, loss].slice(-WINDOW);
    this.#norms = [...this.#norms, gradientNorm].slice(-WINDOW);
    return null;
  }

  #reason(loss: number, gradientNorm: number): string | null {
    if (!Number.isFinite(loss)) return `loss ${loss}`;
    if (!Number.isFinite(gradientNorm)) return `gradient norm ${gradientNorm}`;
    if (this.#losses.length < LEAST) return null;
    const usualLoss = median(this.#losses);
    const lossSpread = Math.max(deviation(this.#losses, usualLoss), usualLoss / 20, LEAST_SPREAD);
    if (loss > usualLoss + this.#threshold * lossSpread) return `loss ${loss.toFixed(3)} where ${usualLoss.toFixed(3)} is usual`;
    const usualNorm = median(this.#norms);
    const normSpread = Math.max(deviation(this.#norms, usualNorm), usualNorm);
    if (gradientNorm > usualNorm + this.#threshold * normSpread) {
      return `gradient norm ${gradientNorm.toPrecision(3)} where ${usualNorm.toPrecision(3)} is usual`;
    }
    return null;
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** 1.4826 · the median absolute deviation. */
const deviation = (values: readonly number[], center: number): number => 1.4826 * median(values.map((value) => Math.abs(value - center)));
