/**
 * Direct preference optimization (Rafailov et al., 2023). With π the model, π₀ what it was when the stage began, and y⁺, y⁻ the preferred
 * and the other answer,
 *   z = β·( log π(y⁺)/π₀(y⁺) − log π(y⁻)/π₀(y⁻) ),   loss = −(1 − ε)·log σ(z) − ε·log σ(−z),
 * with ε the chance that a preference is the wrong way round (conservative DPO, Mitchell, 2023; 0: plain DPO). π₀ is not kept: its
 * log-probabilities of the answers are computed once. The gradient is that of each answer's cross-entropy, weighed by ∂loss/∂z, which
 * is known once the losses are: so one pass forward and one back.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Arena, type Context, type Random, Tape, type Tensor } from '@parley/engine';
import type { Transformer, TransformerConfig } from '@parley/model';
import { writeAtomic } from '@parley/model/node';
import type { TrainingWork } from '../peak.ts';
import { microBatches, packSequences, workOf } from './order.ts';
import type { Answer, PreferenceData, PreferencePair } from './preferences.ts';
import type { ItemObjective } from './stage.ts';

/** log π₀ of the two answers of each pair, nats. */
export type Reference = readonly (readonly [chosen: number, rejected: number])[];

export interface DpoOptions {
  readonly model: Transformer;
  readonly train: readonly PreferencePair[];
  readonly heldOut: readonly PreferencePair[];
  readonly reference: { readonly train: Reference; readonly heldOut: Reference };
  readonly beta: number;
  /** ε. */
  readonly smoothing: number;
  /** Tokens computed at once; a pair is never split. */
  readonly microTokens: number;
}

/** The loss at z, and its slope. */
export function preferenceLoss(z: number, smoothing = 0): { loss: number; slope: number } {
  // log σ(z) without overflow.
  const logSigmoid = (x: number): number => (x < 0 ? x - Math.log1p(Math.exp(x)) : -Math.log1p(Math.exp(-x)));
  const sigmoid = (x: number): number => Math.exp(logSigmoid(x));
  return {
    loss: -(1 - smoothing) * logSigmoid(z) - smoothing * logSigmoid(-z),
    slope: -(1 - smoothing) * sigmoid(-z) + smoothing * sigmoid(z),
  };
}

interface Outcome {
  readonly loss: number;
  readonly slope: number;
  readonly chosen: number;
  readonly rejected: number;
}

export class DpoObjective implements ItemObjective, Disposable {
  readonly #options: DpoOptions;
  readonly #arena: Arena;

  constructor(options: DpoOptions) {
    this.#options = options;
    this.#arena = new Arena(options.model.backend);
  }

  get config(): TransformerConfig {
    return this.#options.model.config;
  }

  get items(): number {
    return this.#options.train.length;
  }

  async accumulate(items: readonly number[], random: Random): Promise<{ loss: number; work: TrainingWork; scores: Record<string, number> }> {
    const { train, reference, microTokens } = this.#options;
    const outcomes: Outcome[] = [];
    const pair = (item: number): PreferencePair => train[item] as PreferencePair;
    for (const batch of microBatches(items, (item) => tokensOf(pair(item)), microTokens)) {
      this.#arena.reset();
      const tape = new Tape();
      const pass = answerLosses(this.#options.model, { arena: this.#arena, tape, random }, batch.flatMap((item) => [pair(item).chosen, pair(item).rejected]));
      const sums = await pass.sums();
      const own = batch.map((item, i) => this.#judge([-(sums[2 * i] ?? 0), -(sums[2 * i + 1] ?? 0)], reference.train[item]));
      outcomes.push(...own);
      if (!own.every(({ slope }) => Number.isFinite(slope))) break;
      // d loss / d (cross-entropy of an answer) = ∓ β · slope; the answers' cross-entropy is −log π.
      own.forEach(({ slope }, i) => {
        pass.weigh(2 * i, (-this.#options.beta * slope) / items.length);
        pass.weigh(2 * i + 1, (this.#options.beta * slope) / items.length);
      });
      tape.backward();
    }
    const answers = items.flatMap((item) => [pair(item).chosen, pair(item).rejected]);
    const targets = answers.reduce((sum, { spoken }) => sum + spoken.reduce((count, value) => count + value, 0), 0);
    return { ...summary(outcomes), work: workOf(answers.map(({ ids }) => ids.length - 1), targets) };
  }

  async measure(): Promise<{ loss: number; items: number; scores: Record<string, number> } | null> {
    const { model, heldOut, reference, microTokens } = this.#options;
    if (heldOut.length === 0) return null;
    const now = await answerProbabilities(model, this.#arena, heldOut, microTokens);
    return { items: heldOut.length, ...summary(now.map((own, item) => this.#judge(own, reference.heldOut[item]))) };
  }

  dispose(): void {
    this.#arena.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #judge([chosen, rejected]: readonly [number, number], before: readonly [number, number] | undefined): Outcome {
    const { beta, smoothing } = this.#options;
    const rewards = { chosen: beta * (chosen - (before?.[0] ?? Number.NaN)), rejected: beta * (rejected - (before?.[1] ?? Number.NaN)) };
    return { ...preferenceLoss(rewards.chosen - rewards.rejected, smoothing), ...rewards };
  }
}

/** Means: the loss; how often the preferred answer has gained more than the other, and by how much; what each has gained. */
function summary(outcomes: readonly Outcome[]): { loss: number; scores: Record<string, number> } {
  const mean = (value: (outcome: Outcome) => number): number => outcomes.reduce((sum, outcome) => sum + value(outcome), 0) / outcomes.length;
  return {
    loss: mean(({ loss }) => loss),
    scores: {
      accuracy: mean(({ chosen, rejected }) => (chosen > rejected ? 1 : 0)), margin: mean(({ chosen, rejected }) => chosen - rejected),
      chosen_reward: mean(({ chosen }) => chosen), rejected_reward: mean(({ rejected }) => rejected),
    },
  };
}

const tokensOf = ({ chosen, rejected }: PreferencePair): number => chosen.ids.length + rejected.ids.length - 2;

/** One pass over answers: the sum of each one's losses, and, before the backward pass, what each one's weigh. */
function answerLosses(model: Transformer, ctx: Context, answers: readonly Answer[]): { sums(): Promise<Float64Array>; weigh(answer: number, factor: number): void } {
  const packed = packSequences(answers.map(({ ids }) => ids.subarray(0, ids.length - 1)));
  const rows: number[] = [];
  const targets: number[] = [];
  const owners: number[] = [];
  for (const [index, { ids, spoken }] of answers.entries()) {
    const start = packed.sequences[index]?.start ?? 0;
    for (let i = 1; i < ids.length; i++) {
      if (spoken[i] !== 1) continue;
      rows.push(start + i - 1);
      targets.push(ids[i] ?? 0);
      owners.push(index);
    }
  }
  const weights = new Float32Array(rows.length).fill(1);
  const losses: Tensor = model.loss(ctx, { ...packed, logitRows: Int32Array.from(rows) }, { targets: Int32Array.from(targets), scale: 1, weights });
  return {
    async sums() {
      const sums = new Float64Array(answers.length);
      for (const [row, loss] of (await losses.read()).entries()) sums[owners[row] ?? 0] = (sums[owners[row] ?? 0] ?? 0) + loss;
      return sums;
    },
    weigh(answer, factor) {
      for (const [row, owner] of owners.entries()) if (owner === answer) weights[row] = factor;
    },
  };
}

/** log π of the two answers of each pair, as the model is now. */
async function answerProbabilities(model: Transformer, arena: Arena, pairs: readonly PreferencePair[], microTokens: number): Promise<[number, number][]> {
  const found: [number, number][] = [];
  for (const batch of microBatches([...pairs.keys()], (item) => tokensOf(pairs[item] as PreferencePair), microTokens)) {
    arena.reset();
    const sums = await answerLosses(model, { arena, tape: null }, batch.flatMap((item) => {
      const { chosen, rejected } = pairs[item] as PreferencePair;
      return [chosen, rejected];
    })).sums();
    for (let i = 0; i < batch.length; i++) found.push([-(sums[2 * i] ?? 0), -(sums[2 * i + 1] ?? 0)]);
  }
  return found;
}

/**
 * π₀'s log-probabilities, from the run's folder where they are there, otherwise computed with the model as it is, which has to be as the
 * stage began, and kept.
 */
export async function referenceProbabilities(
  model: Transformer, data: PreferenceData, place: { readonly file: string; readonly microTokens: number },
): Promise<{ train: Reference; heldOut: Reference }> {
  const kept = existsSync(place.file) ? (JSON.parse(await readFile(place.file, 'utf8')) as { key: string; train: Reference; heldOut: Reference }) : null;
  if (kept?.key === data.key) return kept;
  using arena = new Arena(model.backend);
  const train = await answerProbabilities(model, arena, data.train, place.microTokens);
  const heldOut = await answerProbabilities(model, arena, data.heldOut, place.microTokens);
  await writeAtomic(place.file, [Buffer.from(JSON.stringify({ key: data.key, train, heldOut }))]);
  return { train, heldOut };
}
