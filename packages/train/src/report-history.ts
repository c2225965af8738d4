/** What a run has measured so far, gathered record by record in bounded room: what the report draws. */
import type { Metrics, SampleMetrics, SkipMetrics } from './metrics.ts';
import { Curve } from './report-curve.ts';

export interface StageTrace {
  readonly name: string;
  /** Steps of the stages before it: where it begins on the common axis. */
  readonly offset: number;
  /** Its last step so far, and tokens gone through. */
  step: number;
  tokens: number;
}

export interface HeldOutPoint {
  readonly x: number;
  readonly stage: number;
  readonly step: number;
  readonly loss: number;
  readonly bitsPerByte: number;
  readonly sources: Readonly<Record<string, number>>;
}

/** What held-out items were answered with. */
export interface ScorePoint {
  readonly x: number;
  readonly stage: number;
  readonly step: number;
  readonly loss: number;
  readonly scores: Readonly<Record<string, number>>;
}

/** A step that was left out. */
export interface MarkedStep {
  readonly x: number;
  readonly stage: number;
  readonly step: number;
  readonly reason: string;
  /** What was measured of it. */
  readonly text: string;
}

export interface Sample {
  readonly x: number;
  readonly stage: number;
  readonly step: number;
  readonly answers: Map<string, string>;
}

/** Kept of each; beyond, every second one goes, the first and the newest never. */
const MOST_MEASUREMENTS = 1024;
const MOST_SAMPLES = 64;
const MOST_MARKS = 400;
const MOST_CHARACTERS = 2000;

export class RunHistory {
  readonly stages: StageTrace[] = [];
  readonly loss = new Curve();
  readonly learningRate = new Curve();
  readonly gradientNorm = new Curve();
  readonly speed = new Curve();
  readonly peakShare = new Curve();
  /** Seconds in steps, without measuring and saving. */
  seconds = 0;
  steps = 0;
  /** The last step, as it was recorded. */
  last: Extract<Metrics, { type: 'step' }> | null = null;
  heldOut: HeldOutPoint[] = [];
  scores: ScorePoint[] = [];
  samples: Sample[] = [];
  readonly prompts: string[] = [];
  readonly marks: MarkedStep[] = [];
  /** How many there were, kept or not. */
  marked = 0;
  /** The best and the first measurement of each source within the newest stage that measured it. */
  readonly bests = new Map<string, { stage: number; first: number; best: number; step: number }>();

  /** A line of metrics.jsonl. Kinds it does not know are passed over. */
  add(line: Metrics): void {
    switch (line.type) {
      case 'step': {
        const stage = this.#stage(line.stage, line.step, line.tokens);
        const x = stage.x;
        this.loss.add(x, line.loss, stage.index);
        this.learningRate.add(x, line.learning_rate, stage.index);
        this.gradientNorm.add(x, line.gradient_norm, stage.index);
        this.speed.add(x, line.timing.tokens_per_second, stage.index);
        this.peakShare.add(x, line.timing.peak_share * 100, stage.index);
        this.seconds += line.timing.ms / 1000;
        this.steps++;
        this.last = line;
        return;
      }
      case 'held-out': {
        const stage = this.#stage(line.stage, line.step, line.tokens);
        const sources = Object.fromEntries(Object.entries(line.sources).map(([name, source]) => [name, source.bits_per_byte]));
        this.heldOut.push({ x: stage.x, stage: stage.index, step: line.step, loss: line.loss, bitsPerByte: line.bits_per_byte, sources });
        if (this.heldOut.length > MOST_MEASUREMENTS) this.heldOut = halved(this.heldOut);
        for (const [name, value] of [['', line.bits_per_byte], ...Object.entries(sources)] as const) {
          const known = this.bests.get(name);
          if (known === undefined || known.stage !== stage.index) this.bests.set(name, { stage: stage.index, first: value, best: value, step: line.step });
          else if (value < known.best) Object.assign(known, { best: value, step: line.step });
        }
        return;
      }
      case 'scores': {
        const stage = this.#stage(line.stage, line.step, line.tokens);
        this.scores.push({ x: stage.x, stage: stage.index, step: line.step, loss: line.loss, scores: line.scores });
        if (this.scores.length > MOST_MEASUREMENTS) this.scores = halved(this.scores);
        return;
      }
      case 'sample':
        return this.#sample(line);
      case 'skip':
        return this.#skip(line);
      default:
        // A line of a later version.
        return line satisfies never;
    }
  }

  get tokens(): number {
    return this.stages.reduce((sum, { tokens }) => sum + tokens, 0);
  }

  #stage(name: string, step: number, tokens: number | null): { index: number; x: number } {
    let index = this.stages.findIndex((stage) => stage.name === name);
    if (index < 0) {
      const before = this.stages.at(-1);
      index = this.stages.push({ name, offset: before === undefined ? 0 : before.offset + before.step, step: 0, tokens: 0 }) - 1;
    }
    const stage = this.stages[index];
    if (stage === undefined) return { index, x: step };
    stage.step = Math.max(stage.step, step);
    stage.tokens = Math.max(stage.tokens, tokens ?? 0);
    return { index, x: stage.offset + step };
  }

  #sample({ stage: name, step, prompt, text }: SampleMetrics): void {
    const { index, x } = this.#stage(name, step, null);
    if (!this.prompts.includes(prompt)) this.prompts.push(prompt);
    let sample = this.samples.at(-1);
    if (sample === undefined || sample.x !== x || sample.stage !== index) {
      sample = { x, stage: index, step, answers: new Map() };
      this.samples.push(sample);
      if (this.samples.length > MOST_SAMPLES) this.samples = halved(this.samples);
    }
    sample.answers.set(prompt, text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS).toWellFormed()}…` : text);
  }

  #skip({ stage: name, step, tokens, loss, gradient_norm: norm, reason }: SkipMetrics): void {
    const { index, x } = this.#stage(name, step, tokens);
    this.marked++;
    if (this.marks.length >= MOST_MARKS) return;
    const number = (value: number | null): string => (value === null ? 'none' : Number(value.toPrecision(4)).toString());
    this.marks.push({ x, stage: index, step, reason, text: `loss ${number(loss)}, gradient norm ${number(norm)}` });
  }
}

/** Every second, the first and the last among them. */
function halved<T>(items: readonly T[]): T[] {
  return items.filter((_, i) => i % 2 === 0 || i === items.length - 1);
}
