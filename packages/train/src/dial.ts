/**
 * One dial. `model.size` is a number of layers or of weights; everything else about a model's shape and its training follows from it
 * and from how much text there is, unless the recipe says it. Each step below has its reason; they are printed before training
 * begins, kept in the run (derived.json) and written on the model's card.
 *
 *   shape     1 width and layers   2 heads   3 key/value heads   4 MLP   5 context
 *   training  6 tokens             7 batch   8 optimizer         9 learning rate   10 warm-up   11 weight decay
 *
 * Steps 6 to 9 are rules fitted by others on models of a hundred million weights and more, with their constants set by runs of this
 * repository on small ones (docs/decisions.md). They are where to begin, not the optimum of anybody's data.
 */
import { gpt2Config, llamaConfig, parameterCount, parameterSpecs, type TransformerConfig } from '@parley/model';
import { RecipeError } from './errors.ts';
import { MOST_LAYERS, type Recipe, type RecipeStage } from './recipe.ts';

/** One number that the recipe left open. */
export interface Derivation {
  /** As the recipe would have called it. */
  readonly what: string;
  readonly value: number | string;
  readonly why: string;
}

/** What the recipe left open: of the model, and of each stage by its name. */
export interface Derived {
  readonly model: readonly Derivation[];
  readonly stages: Readonly<Record<string, readonly Derivation[]>>;
}

type ModelFields = Exclude<Recipe['model'], string>;
type Shape = Partial<TransformerConfig>;

// ---- shape --------------------------------------------------------------------------------------------------------------

/** 1. Width to a layer: between 32 and 128 the loss hardly depends on it (Kaplan et al., 2020, figure 5). */
const WIDTH_PER_LAYER = 64;
/** 2. Numbers to a head; narrow models get heads of 32, so that there are several (GPT-2 and Llama have 64 and more). */
const headSizeOf = (width: number): number => (width >= 256 ? 64 : 32);
/** 4. A gated MLP of 8/3 of the width has the weights of a four-fold one without a gate (Shazeer, 2020). In whole blocks of 32. */
const gatedMlp = (width: number): number => Math.round((width * 8) / 3 / 32) * 32;
/** 5. At two widths of context attention costs a sixth of what the weights cost. */
const contextOf = (width: number): number => 2 ** Math.max(8, Math.min(11, Math.floor(Math.log2(2 * width))));

/** A shape over this vocabulary, `given` winning over what is derived. Throws RecipeError where a size cannot be met. */
export function deriveShape(fields: ModelFields, given: Shape, vocabSize: number): { config: TransformerConfig; derived: Derivation[] } {
  const { size = 4, family = 'llama' } = fields;
  if (size > MOST_LAYERS) return shapeOfWeights(size, { given, vocabSize, family });
  const hiddenSize = given.hiddenSize ?? WIDTH_PER_LAYER * size;
  const full = complete({ layers: size, heads: Math.max(1, Math.round(hiddenSize / 64)), contextLength: 256, ...given, hiddenSize }, vocabSize, family);
  if (fields.size === undefined) return { config: full, derived: [] };
  const because = `of ${size} layers, ${WIDTH_PER_LAYER} to a layer`;
  return { config: full, derived: unsaid(given, [
    ['hidden_size', full.hiddenSize, `${because}: from 32 to 128 it makes little difference (Kaplan et al., 2020)`],
    ['layers', full.layers, 'the size'],
    ['heads', full.heads, 'of 64 numbers each, as in GPT-2 and Llama'],
    ['key_value_heads', full.keyValueHeads, 'as many as heads'],
    ['intermediate_size', full.intermediateSize, mlpReason(full)],
    ['context_length', full.contextLength, 'short, for a first try'],
  ]) };
}

/** The widest shape of about `size` weights in all whose depth is in proportion, then as many layers as still fit. */
function shapeOfWeights(size: number, args: { given: Shape; vocabSize: number; family: 'gpt2' | 'llama' }): { config: TransformerConfig; derived: Derivation[] } {
  const { given, vocabSize, family } = args;
  const at = (hiddenSize: number, layers: number): TransformerConfig => {
    const heads = Math.max(1, Math.round(hiddenSize / headSizeOf(hiddenSize)));
    const groups = family === 'gpt2' ? (given.heads ?? heads) : keyValueHeads(given.heads ?? heads);
    return complete({ heads, keyValueHeads: groups, contextLength: contextOf(hiddenSize), layers, ...given, hiddenSize }, vocabSize, family);
  };
  const widths = given.hiddenSize === undefined ? Array.from({ length: 127 }, (_, i) => 64 * (i + 1)) : [given.hiddenSize];
  const depth = (width: number): number => given.layers ?? Math.max(2, Math.round(width / WIDTH_PER_LAYER));
  const fitting = widths.filter((width) => parameterCount(at(width, depth(width))) <= size).at(-1);
  if (fitting === undefined) {
    const least = parameterCount(at(widths[0] ?? 64, depth(widths[0] ?? 64)));
    throw new RecipeError('model', [
      `size ${amount(size)} is too few weights: over a vocabulary of ${vocabSize} tokens the smallest has ${amount(least)}; ` +
        'make size larger or tokenizer.vocab_size smaller',
    ]);
  }
  let layers = depth(fitting);
  if (given.layers === undefined) while (fitting / (layers + 1) >= 32 && parameterCount(at(fitting, layers + 1)) <= size) layers++;
  const config = at(fitting, layers);
  return { config, derived: unsaid(given, [
    ['hidden_size', config.hiddenSize, `${amount(parameterCount(config))} of ${amount(size)} weights, ${amount(vocabSize * fitting)} of them the vocabulary's`],
    ['layers', config.layers, `about one for each ${WIDTH_PER_LAYER} of width: from 32 to 128 it makes little difference (Kaplan et al., 2020)`],
    ['heads', config.heads, `of ${config.headSize} numbers each`],
    ['key_value_heads', config.keyValueHeads, config.keyValueHeads === config.heads
      ? `as many as heads: ${config.heads < 4 ? 'they are few' : 'an odd number has no half'}`
      : 'half of the heads: half the cache at next to no loss (Ainslie et al., 2023)'],
    ['intermediate_size', config.intermediateSize, mlpReason(config)],
    ['context_length', config.contextLength, 'up to two widths: attention then costs at most a sixth of what the weights cost'],
  ]) };
}

/** 3. Two query heads to a key head, where there are at least four. */
const keyValueHeads = (heads: number): number => (heads >= 4 && heads % 2 === 0 ? heads / 2 : heads);

const mlpReason = ({ gated, hiddenSize }: TransformerConfig): string =>
  (gated ? `8/3 of ${hiddenSize}: a gated MLP then weighs as much as a four-fold one without (Shazeer, 2020)` : `four times ${hiddenSize} (Vaswani et al., 2017)`);

type Needed = 'hiddenSize' | 'layers' | 'heads' | 'contextLength';

function complete(shape: Pick<TransformerConfig, Needed> & Shape, vocabSize: number, family: 'gpt2' | 'llama'): TransformerConfig {
  const { hiddenSize } = shape;
  return family === 'gpt2'
    ? gpt2Config({ intermediateSize: 4 * hiddenSize, ...shape, vocabSize })
    : llamaConfig({ intermediateSize: gatedMlp(hiddenSize), ...shape, vocabSize });
}

const FIELDS: Readonly<Record<string, keyof TransformerConfig>> = {
  hidden_size: 'hiddenSize', layers: 'layers', heads: 'heads', key_value_heads: 'keyValueHeads', intermediate_size: 'intermediateSize',
  context_length: 'contextLength',
};

/** Those of the candidates that the recipe does not give. */
const unsaid = (given: Shape, all: readonly (readonly [what: string, value: number, why: string])[]): Derivation[] =>
  all.filter(([what]) => given[FIELDS[what] ?? 'family'] === undefined).map(([what, value, why]) => ({ what, value, why }));

// ---- training -----------------------------------------------------------------------------------------------------------

/** 6. Tokens to a weight at which compute is best spent (Hoffmann et al., 2022). */
const TOKENS_PER_WEIGHT = 20;
/** 6. At the 11th pass a token is worth half a fresh one: e^(−10/15.4) (Muennighoff et al., 2023). */
const MOST_PASSES = 11;
/** 6. Fine-tuning on conversations: enough to take the manner, too few to learn them by heart. */
const FINETUNE_PASSES = 3;
/** 7. The batch at which more tokens a step begin to be wasted grows with the tokens of the run (Li et al., 2025: 0.58 · D^0.571). */
const batchOf = (tokens: number): number => 0.58 * tokens ** 0.571;
/** 7. What two CPU cores do in practice, floating-point operations a second: tokens of a stage that is given in minutes. */
const ASSUMED_SPEED = 30e9;
/**
 * 9. The best peak of those tried at width 192 and batches of 2,048 tokens (docs/decisions.md); from there ∝ √batch / width, up to what
 * was still fine there: at 0.006 AdamW hardly learned, and Muon was as good as at 0.003.
 */
const PEAK = { width: 192, batch: 2048, adamw: { rate: 0.0015, highest: 0.003 }, muon: { rate: 0.003, highest: 0.006 } } as const;
/** 9. Of a model that has learned already: a third of that. */
const FINETUNE_SHARE = 1 / 3;
/** 10. */
const WARMUP_SHARE = 0.05;
/** 11. As of GPT-3 and Llama. */
const WEIGHT_DECAY = 0.1;
/**
 * 8. Muon came as far as AdamW in half of the steps on small models here (docs/decisions.md), in two thirds on large ones (Liu et al.,
 * 2025). Its products take a time that does not depend on the batch: it is chosen where they add at most a third to a step.
 */
const MOST_OVERHEAD = 1 / 3;

/** A stage in which nothing is open. */
export type CompleteStage = RecipeStage & {
  readonly batch_tokens: number;
  readonly optimizer: 'adamw' | 'muon';
  readonly learning_rate: number;
  readonly warmup: number;
  readonly weight_decay: number;
};

export interface StageFacts {
  readonly model: TransformerConfig;
  /** Tokens of one pass over everything in the stage's mixture. */
  readonly tokens: number;
  /** Pre-training stages of the recipe that do not say how long they are. */
  readonly openStages: number;
}

/** An adapter's matrices are small and begin at zero: they take larger steps than whole ones. */
const LORA_FACTOR = 10;
const LORA_HIGHEST = 2e-3;

/** Fills in what a stage leaves open. */
export function deriveStage(stage: RecipeStage, facts: StageFacts): { stage: CompleteStage; derived: Derivation[] } {
  const derived: Derivation[] = [];
  const derive = <Value extends number | string>(what: string, value: Value, why: string): Value => {
    derived.push({ what, value, why });
    return value;
  };
  const weights = parameterCount(facts.model);
  const length = lengthOf(stage, facts, weights);
  if (length.derived !== null) derived.push(length.derived);
  const context = stage.context ?? facts.model.contextLength;
  const batch = stage.batch_tokens ?? derive('batch_tokens', roundBatch(length.tokens, { context, micro: stage.micro_batch_tokens }),
    `0.58 · D^0.571 for D = ${amount(length.tokens)} tokens (Li et al., 2025), down to a power of two and at least two contexts`);
  const optimizer = stage.optimizer ?? (stage.learning_rate === undefined && stage.kind === 'pretrain' && stage.lora === undefined
    ? chooseOptimizer(muonOverhead(facts.model, batch), derive)
    : 'adamw');
  const { hiddenSize } = facts.model;
  const { rate, highest } = PEAK[optimizer];
  const peak = Math.min(highest, rate * (PEAK.width / hiddenSize) * Math.sqrt(batch / PEAK.batch));
  const rule = `${rate} at width ${PEAK.width} and ${PEAK.batch} tokens a step, measured; ∝ 1/width (Yang et al., 2022) and √batch (Malladi et al., 2022), ` +
    `at most ${highest}`;
  const learningRate = stage.learning_rate ?? (stage.lora !== undefined
    ? derive('learning_rate', round(Math.min(LORA_HIGHEST, peak * FINETUNE_SHARE * LORA_FACTOR)),
      `${LORA_FACTOR} times what training all weights would take (Schulman et al., 2025), at most ${LORA_HIGHEST}: ${rule}`)
    : stage.kind === 'pretrain'
    ? derive('learning_rate', round(peak), rule)
    : derive('learning_rate', round(peak * FINETUNE_SHARE), `a third of the pre-training rate, so that what is known stays: ${rule}`));
  const warmup = stage.warmup ?? derive('warmup', WARMUP_SHARE, 'a share of the steps, in which the moments fill and the first large gradients pass');
  const weightDecay = stage.weight_decay ?? derive('weight_decay', WEIGHT_DECAY, 'as of GPT-3 and Llama');
  return {
    stage: { ...stage, ...length.fields, batch_tokens: batch, optimizer, learning_rate: learningRate, warmup, weight_decay: weightDecay },
    derived,
  };
}

function chooseOptimizer(overhead: number, derive: (what: string, value: 'adamw' | 'muon', why: string) => 'adamw' | 'muon'): 'adamw' | 'muon' {
  const share = `${Math.round(100 * overhead)} % to a step of this batch`;
  return overhead <= MOST_OVERHEAD
    ? derive('optimizer', 'muon', `it needs about half of AdamW's steps on small models (docs/decisions.md) and adds ${share}`)
    : derive('optimizer', 'adamw', `muon's products would add ${share}: at more than a third it wins little`);
}

/** What Newton–Schulz (muon.ts) adds to a step: its share of the floating-point operations of the gradient. */
export function muonOverhead(model: TransformerConfig, batchTokens: number): number {
  let operations = 0;
  for (const { name, kind, shape } of parameterSpecs(model)) {
    if (kind !== 'matrix' || !name.startsWith('model.layers.')) continue;
    const [short, long] = [Math.min(...shape), Math.max(...shape)];
    operations += 5 * (4 * short ** 2 * long + 2 * short ** 3);
  }
  return operations / (6 * parameterCount(model) * batchTokens);
}

interface Length {
  /** Tokens of the stage, to choose a batch by. */
  readonly tokens: number;
  readonly fields: Partial<Pick<RecipeStage, 'tokens' | 'epochs'>>;
  readonly derived: Derivation | null;
}

function lengthOf(stage: RecipeStage, facts: StageFacts, weights: number): Length {
  const said = (tokens: number): Length => ({ tokens, fields: {}, derived: null });
  if (stage.tokens !== undefined) return said(stage.tokens);
  if (stage.epochs !== undefined) return said(stage.epochs * facts.tokens);
  if (stage.steps !== undefined) return said(stage.steps * (stage.batch_tokens ?? 4096));
  if (stage.minutes !== undefined) {
    const most = (stage.max_epochs ?? Infinity) * facts.tokens;
    return said(Math.min(most, (stage.minutes * 60 * ASSUMED_SPEED) / (6 * weights)));
  }
  if (stage.kind === 'finetune') {
    const tokens = Math.ceil(FINETUNE_PASSES * facts.tokens);
    return { tokens, fields: { tokens }, derived: { what: 'tokens', value: tokens, why: `${FINETUNE_PASSES} passes: more and answers are learned by heart` } };
  }
  const wanted = (TOKENS_PER_WEIGHT * weights) / Math.max(1, facts.openStages);
  const there = MOST_PASSES * facts.tokens;
  const tokens = Math.ceil(Math.min(wanted, there));
  const shared = facts.openStages > 1 ? `, shared by ${facts.openStages} stages` : '';
  const why = wanted <= there
    ? `${TOKENS_PER_WEIGHT} for each of ${amount(weights)} weights (Hoffmann et al., 2022)${shared}`
    : `${MOST_PASSES} passes over ${amount(facts.tokens)} tokens, after which a token is worth less than half a fresh one (Muennighoff et al., 2023); ` +
      `${amount(weights)} weights would make use of ${amount(wanted)}`;
  return { tokens, fields: { tokens }, derived: { what: 'tokens', value: tokens, why } };
}

/** A power of two, and whole micro-batches where their size is given. */
function roundBatch(tokens: number, { context, micro }: { context: number; micro: number | undefined }): number {
  const batch = Math.max(2 * context, 2 ** Math.floor(Math.log2(Math.max(1, batchOf(tokens)))));
  return micro === undefined ? batch : micro * Math.max(1, Math.round(batch / micro));
}

/** Two digits, as somebody would write it. */
const round = (value: number): number => Number(value.toPrecision(2));

/** 5300000 → "5.3M". */
export function amount(value: number): string {
  for (const [scale, unit] of [[1e9, 'B'], [1e6, 'M'], [1e3, 'k']] as const) {
    if (value >= scale) return `${Number((value / scale).toPrecision(3))}${unit}`;
  }
  return String(Math.round(value));
}
