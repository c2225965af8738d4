/**
 * LoRA (Hu et al., 2021): a linear layer W (out, in) gets a trained addition of low rank beside it,
 *   y = W x + b + (alpha / rank) · B (A x),   A (rank, in), B (out, rank),
 * with B zero at first, so that training starts from the model as it is. An adapter is a set of such pairs, a small part of a
 * model's size; it is laid on a model with `model.setAdapters` and taken off again without touching the weights.
 *
 * Modules have the names their family's weight files give them (`model.layers.0.self_attn.q_proj`, GPT-2's
 * `transformer.h.0.attn.c_attn`), which are those of PEFT's files. GPT-2 keeps query, key and value as one layer of 3·C outputs: there
 * one A serves the three, and each takes its rows of B.
 */
import { type Backend, type Context, ops, type Random, Tensor } from '@parley/engine';
import type { TransformerConfig } from './config.ts';
import { AdapterError } from './errors.ts';
import { families } from './hugging-face.ts';
import { nearestName } from './nearest-name.ts';
import { parameterSpecs } from './parameters.ts';

export interface LoraOptions {
  readonly rank: number;
  /** The addition is scaled by alpha / rank, so that a learning rate that serves one rank serves others. */
  readonly alpha: number;
  /** Of the input of A, in training. Default 0. */
  readonly dropout?: number;
  /**
   * Which linear layers, by the last parts of their names: `q_proj`, `mlp.c_proj`, or a whole name. Default: all of attention and
   * MLP.
   */
  readonly targets?: readonly string[];
  /** Scale by alpha / √rank instead (Kalajdzievski, 2023). Default false. */
  readonly rankStabilized?: boolean;
}

/** A linear layer that an adapter can stand beside, as the family's files have it. */
export interface AdaptableModule {
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  /** The model's own weights in it, and which of its outputs each has. */
  readonly parts: readonly { readonly weight: string; readonly from: number; readonly to: number }[];
}

/** Every linear layer of attention and MLP, in the order of the forward pass. */
export function adaptableModules(config: TransformerConfig): AdaptableModule[] {
  const shapes = new Map(
    parameterSpecs(config).filter(({ kind, name }) => kind === 'matrix' && name.startsWith('model.layers.')).map(({ name, shape }) => [name, shape]),
  );
  const modules: AdaptableModule[] = [];
  for (const { name, parameters } of families[config.family].storedTensors(config)) {
    if (!parameters.every((parameter) => shapes.has(parameter))) continue;
    let outputs = 0;
    const parts = parameters.map((weight) => {
      const from = outputs;
      outputs += shapes.get(weight)?.[0] ?? 0;
      return { weight, from, to: outputs };
    });
    modules.push({ name: name.replace(/\.weight$/, ''), inputs: shapes.get(parameters[0] ?? '')?.[1] ?? 0, outputs, parts });
  }
  return modules;
}

/** The modules that `targets` name, as PEFT matches them: the whole name, or its last parts. Throws AdapterError where one names none. */
export function targetModules(config: TransformerConfig, targets?: readonly string[]): AdaptableModule[] {
  const modules = adaptableModules(config);
  if (targets === undefined) return modules;
  const matches = (module: AdaptableModule, target: string): boolean => module.name === target || module.name.endsWith(`.${target}`);
  const known = [...new Set(modules.map(({ name }) => name.split('.').at(-1) ?? name))];
  for (const target of targets) {
    if (modules.some((module) => matches(module, target))) continue;
    const nearest = nearestName(target, known);
    throw new AdapterError(
      `no linear layer of this ${config.family} model is called "${target}"${nearest === undefined ? '' : ` (did you mean ${nearest}?)`}: ` +
        `choose among ${known.join(', ')}`,
    );
  }
  if (targets.length === 0) throw new AdapterError(`an adapter has no targets: name some of ${known.join(', ')}`);
  return modules.filter((module) => targets.some((target) => matches(module, target)));
}

interface Pair {
  readonly module: AdaptableModule;
  /** (rank, in) */
  readonly a: Tensor;
  /** (out, rank) */
  readonly b: Tensor;
  readonly scale: number;
}

/** What an adapter adds to the outputs of one of the model's weights. */
export interface AdapterPart {
  readonly a: Tensor;
  /** The weight's rows of B. */
  readonly b: Tensor;
  readonly scale: number;
  readonly dropout: number;
}

export class LoraAdapter implements Disposable {
  readonly options: Required<LoraOptions>;
  /** Trained values by name: `MODULE.lora_A.weight`, `MODULE.lora_B.weight`. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  readonly modules: readonly AdaptableModule[];
  readonly #parts = new Map<string, AdapterPart>();

  /**
   * Takes the matrices as they are and owns them from here on: `NAME.lora_A.weight` (rank, in) and `NAME.lora_B.weight` (out, rank)
   * for modules of the config, whose ranks may differ. Throws AdapterError where they do not fit it.
   */
  constructor(config: TransformerConfig, options: LoraOptions, parameters: ReadonlyMap<string, Tensor>) {
    const { rank, alpha, dropout = 0, rankStabilized = false } = options;
    checkOptions({ rank, alpha, dropout });
    const pairs: Pair[] = [];
    const named = new Map<string, Tensor>();
    for (const module of adaptableModules(config)) {
      const names = [`${module.name}.lora_A.weight`, `${module.name}.lora_B.weight`] as const;
      const [a, b] = names.map((name) => parameters.get(name));
      if (a === undefined && b === undefined) continue;
      if (a === undefined || b === undefined) throw new AdapterError(`the adapter has ${names[a ? 0 : 1]} without ${names[a ? 1 : 0]}: the file is incomplete`);
      const own = a.dim(0);
      if (a.shape.join() !== [own, module.inputs].join() || b.shape.join() !== [module.outputs, own].join()) {
        throw new AdapterError(
          `the adapter's ${module.name} is [${a.shape.join(', ')}] and [${b.shape.join(', ')}]; this model takes [rank, ${module.inputs}] and ` +
            `[${module.outputs}, rank]: it was made for another model`,
        );
      }
      pairs.push({ module, a, b, scale: alpha / (rankStabilized ? Math.sqrt(own) : own) });
      named.set(names[0], a).set(names[1], b);
    }
    const foreign = [...parameters.keys()].find((name) => !named.has(name));
    if (foreign !== undefined) throw new AdapterError(`the adapter has ${foreign}, for which this ${config.family} model has no place: it was made for another model`);
    if (pairs.length === 0) throw new AdapterError('the adapter is empty');
    this.parameters = named;
    this.modules = pairs.map(({ module }) => module);
    this.options = { rank, alpha, dropout, rankStabilized, targets: options.targets ?? shortestTargets(this.modules, config) };
    for (const { module, a, b, scale } of pairs) {
      for (const { weight, from, to } of module.parts) this.#parts.set(weight, { a, b: module.parts.length === 1 ? b : b.rows(from, to), scale, dropout });
    }
  }

  /**
   * A new adapter: A uniform within ±1/√in (as PEFT draws it), B zero. The same `random` state gives the same bits.
   * Throws AdapterError for options out of range or targets that the model has not, MemoryLimitError.
   */
  static initialize(backend: Backend, config: TransformerConfig, options: LoraOptions & { random: Random }): LoraAdapter {
    const { random, ...lora } = options;
    checkOptions({ alpha: lora.alpha, rank: lora.rank, dropout: lora.dropout ?? 0 });
    using taken = new DisposableStack();
    const parameters = new Map<string, Tensor>();
    for (const { name, inputs, outputs } of targetModules(config, lora.targets)) {
      const bound = 1 / Math.sqrt(inputs);
      const values = Float32Array.from({ length: lora.rank * inputs }, () => bound * (2 * random.uniform() - 1));
      parameters.set(`${name}.lora_A.weight`, taken.use(Tensor.from(backend, values, [lora.rank, inputs])));
      parameters.set(`${name}.lora_B.weight`, taken.use(Tensor.allocate(backend, [outputs, lora.rank])));
    }
    const adapter = new LoraAdapter(config, lora, parameters);
    taken.move();
    return adapter;
  }

  /** What it adds to a weight's outputs; undefined where nothing. */
  part(weight: string): AdapterPart | undefined {
    return this.#parts.get(weight);
  }

  /** The weights it adds to. */
  get weights(): Iterable<string> {
    return this.#parts.keys();
  }

  get parameterCount(): number {
    return [...this.parameters.values()].reduce((sum, { size }) => sum + size, 0);
  }

  get alive(): boolean {
    return [...this.parameters.values()].every(({ alive }) => alive);
  }

  /** Whether gradients are computed for it. */
  set trainable(value: boolean) {
    for (const parameter of this.parameters.values()) parameter.requiresGrad = value;
  }

  dispose(): void {
    for (const parameter of this.parameters.values()) parameter.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** scale · B (A x) of x (N, in) → (N, rows of B). */
export function lowRank(ctx: Context, x: Tensor, { a, b, scale, dropout }: AdapterPart): Tensor {
  const inner = ops.linear(ctx, ops.dropout(ctx, x, dropout), a); // (N, rank)
  return ops.linear(ctx, ops.scale(ctx, inner, scale), b);
}

function checkOptions({ rank, alpha, dropout }: { rank: number; alpha: number; dropout: number }): void {
  if (!Number.isSafeInteger(rank) || rank < 1) throw new AdapterError(`an adapter of rank ${rank}: it has to be a whole number from 1`);
  if (!Number.isFinite(alpha) || alpha <= 0) throw new AdapterError(`an adapter with alpha ${alpha}: it has to be above 0`);
  if (!(dropout >= 0 && dropout < 1)) throw new AdapterError(`an adapter with dropout ${dropout}: it has to be from 0 to below 1`);
}

/** The last parts of names that say which modules these are, and no others. */
function shortestTargets(modules: readonly AdaptableModule[], config: TransformerConfig): string[] {
  const chosen = new Set(modules.map(({ name }) => name));
  const tail = (name: string, parts: number): string => name.split('.').slice(-parts).join('.');
  for (const parts of [1, 2]) {
    const targets = [...new Set(modules.map(({ name }) => tail(name, parts)))];
    if (targetModules(config, targets).every(({ name }) => chosen.has(name))) return targets;
  }
  return [...chosen];
}
