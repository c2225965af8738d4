/**
 * What takes no language model, to stand beside every figure: the commonest label, a linear classifier over bags of words, a
 * byte n-gram model, the first sentences, the sentence most like the question. A model worth its weights beats them.
 */
import { Random } from '@parley/engine';

/** Words and punctuation marks in lower case, every Chinese character by itself. */
const unitsOf = (text: string): string[] => text.toLowerCase().match(/\p{Script=Han}|[[\p{L}\p{N}\p{M}']--\p{Script=Han}]+|[^\s\p{L}\p{N}\p{M}]/gv) ?? [];

/** The commonest value; of equals the one met first. Undefined of nothing. */
export function commonest<T>(values: Iterable<T>): T | undefined {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  let best: T | undefined;
  for (const [value, count] of counts) if (best === undefined || count > (counts.get(best) ?? 0)) best = value;
  return best;
}

export interface LabelledText {
  readonly text: string;
  /** 0…labels−1. */
  readonly label: number;
}

/**
 * Multinomial logistic regression over hashed words and word pairs (2¹⁶ or, for few labels, 2¹⁸ buckets), texts scaled to
 * length 1, five passes of AdaGrad. Returns the classifier.
 */
export function trainBagOfWords(examples: readonly LabelledText[], options: { labels: number; seed: number }): (text: string) => number {
  const { labels } = options;
  const mask = (labels > 16 ? 2 ** 16 : 2 ** 18) - 1;
  const weights = new Float32Array((mask + 1) * labels);
  const squares = new Float32Array((mask + 1) * labels).fill(1e-6);
  const features = examples.map(({ text }) => hashes(text, mask));
  const order = Int32Array.from(examples, (_, i) => i);
  const random = new Random(options.seed);
  const scores = new Float64Array(labels);
  for (let pass = 0; pass < 5; pass++) {
    for (let i = order.length - 1; i > 0; i--) {
      const j = random.below(i + 1);
      [order[i], order[j]] = [order[j] ?? 0, order[i] ?? 0];
    }
    for (const example of order) {
      const buckets = features[example] ?? [];
      probabilities(weights, buckets, scores);
      const unit = 1 / Math.sqrt(buckets.length || 1);
      for (let label = 0; label < labels; label++) {
        const slope = ((scores[label] ?? 0) - (examples[example]?.label === label ? 1 : 0)) * unit;
        if (Math.abs(slope) < 1e-4) continue;
        for (const bucket of buckets) {
          const at = bucket * labels + label;
          squares[at] = (squares[at] ?? 0) + slope * slope;
          weights[at] = (weights[at] ?? 0) - (0.3 * slope) / Math.sqrt(squares[at] ?? 1);
        }
      }
    }
  }
  return (text) => {
    probabilities(weights, hashes(text, mask), scores);
    return scores.indexOf(Math.max(...scores));
  };
}

/** Buckets of a text's words and pairs of neighbours, each once. FNV-1a. */
function hashes(text: string, mask: number): Int32Array {
  const units = unitsOf(text);
  const buckets = new Set<number>();
  for (const [i, unit] of units.entries()) {
    for (const feature of i === 0 ? [unit] : [unit, `${units[i - 1]} ${unit}`]) {
      let hash = 0x811c9dc5;
      for (let k = 0; k < feature.length; k++) hash = Math.imul(hash ^ feature.charCodeAt(k), 0x01000193);
      buckets.add((hash ^ (hash >>> 15)) & mask);
    }
  }
  return Int32Array.from(buckets);
}

function probabilities(weights: Float32Array, buckets: ArrayLike<number>, out: Float64Array): void {
  const labels = out.length;
  const unit = 1 / Math.sqrt(buckets.length || 1);
  out.fill(0);
  for (let b = 0; b < buckets.length; b++) {
    const start = (buckets[b] ?? 0) * labels;
    for (let label = 0; label < labels; label++) out[label] = (out[label] ?? 0) + (weights[start + label] ?? 0) * unit;
  }
  const largest = Math.max(...out);
  let sum = 0;
  for (let label = 0; label < labels; label++) sum += out[label] = Math.exp((out[label] ?? 0) - largest);
  for (let label = 0; label < labels; label++) out[label] = (out[label] ?? 0) / sum;
}

/** Bytes predicted from the four before them, all orders interpolated (Witten & Bell, 1991). */
export class ByteNgrams {
  static readonly #ORDER = 4;
  /** By order: context × 256 + byte → count; context → times seen and kinds of bytes that followed. A context of four bytes is below 2³². */
  readonly #counts = Array.from({ length: ByteNgrams.#ORDER + 1 }, () => ({ pairs: new Map<number, number>(), contexts: new Map<number, [number, number]>() }));

  learn(text: string): void {
    const bytes = Buffer.from(text);
    for (let i = 0; i < bytes.length; i++) {
      let context = 0;
      for (const [order, { pairs, contexts }] of this.#counts.entries()) {
        if (order > i) break;
        if (order > 0) context += (bytes[i - order] ?? 0) * 256 ** (order - 1);
        const pair = context * 256 + (bytes[i] ?? 0);
        const seen = pairs.get(pair) ?? 0;
        pairs.set(pair, seen + 1);
        const entry = contexts.get(context);
        if (entry === undefined) contexts.set(context, [1, 1]);
        else {
          entry[0]++;
          if (seen === 0) entry[1]++;
        }
      }
    }
  }

  /** Bits that the text costs, all its bytes together. */
  bits(text: string): number {
    const bytes = Buffer.from(text);
    let bits = 0;
    for (let i = 0; i < bytes.length; i++) {
      let probability = 1 / 256;
      let context = 0;
      for (const [order, { pairs, contexts }] of this.#counts.entries()) {
        if (order > i) break;
        if (order > 0) context += (bytes[i - order] ?? 0) * 256 ** (order - 1);
        const entry = contexts.get(context);
        if (entry === undefined) break;
        probability = ((pairs.get(context * 256 + (bytes[i] ?? 0)) ?? 0) + entry[1] * probability) / (entry[0] + entry[1]);
      }
      bits -= Math.log2(probability);
    }
    return bits;
  }
}

/** Sentences with their marks, of English and Chinese. */
export const sentences = (text: string): string[] => text.match(/[^.!?。！？\n]+[.!?。！？]*/gu)?.map((sentence) => sentence.trim()).filter((sentence) => sentence !== '') ?? [];

export const lead = (text: string, count: number): string => sentences(text).slice(0, count).join(' ');

/** Shared units over the candidate's: how much of it stands in the text. */
function overlap(candidate: string, text: ReadonlySet<string>): number {
  const units = unitsOf(candidate);
  return units.length === 0 ? 0 : units.filter((unit) => text.has(unit)).length / Math.sqrt(units.length);
}

/** The number of the candidate that shares most words with the text; of equals the first. */
export function mostAlike(candidates: readonly string[], text: string): number {
  const units = new Set(unitsOf(text));
  const scores = candidates.map((candidate) => overlap(candidate, units));
  return Math.max(0, scores.indexOf(Math.max(...scores)));
}

/** The word that most often followed the text's last word in `texts`, else the commonest word of all. */
export function bigramGuesser(texts: readonly string[]): (context: string) => string {
  const followers = new Map<string, Map<string, number>>();
  const all: string[] = [];
  for (const text of texts) {
    const words = text.split(/\s+/).filter((word) => word !== '');
    all.push(...words);
    for (const [i, word] of words.slice(0, -1).entries()) {
      const after = followers.get(word) ?? new Map<string, number>();
      const next = words[i + 1] ?? '';
      after.set(next, (after.get(next) ?? 0) + 1);
      followers.set(word, after);
    }
  }
  const fallback = commonest(all) ?? '';
  return (context) => {
    const after = followers.get(context.trim().split(/\s+/).at(-1) ?? '');
    return after === undefined ? fallback : ([...after].reduce((best, entry) => (entry[1] > best[1] ? entry : best))[0]);
  };
}
