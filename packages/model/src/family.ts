/**
 * A family is a way of writing down a transformer: the names its `config.json` uses, and the names and layouts of its weights.
 * What a config says and Parley does not compute is an error with the field, its value and a remedy; nothing is passed over.
 */
import type { Activation } from '@parley/engine';
import { type FamilyName, type OptionalFeatures, optionalFeatures, type TransformerConfig } from './config.ts';
import { ConfigError } from './errors.ts';
import * as s from './schema.ts';

/** One tensor of a weight file and the parameters whose values it holds. */
export interface StoredTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Internal names; several lie side by side along the output axis. */
  readonly parameters: readonly string[];
  /** Stored (in, out), as GPT-2's Conv1D does, instead of (out, in). */
  readonly transposed: boolean;
  /** What the parameter is more than what is stored: 1 for the gains of norms that multiply with 1 + w. Default 0. */
  readonly offset?: number;
  /** Names that other files have for it; the first that is there is read. */
  readonly aliases?: readonly string[];
}

export interface Family {
  readonly name: FamilyName;
  /** `architectures` of what we write. */
  readonly architecture: string;
  /** In front of all names but the output matrix's; files of the model without its head leave it out. */
  readonly prefix: string;
  /** Tensors that files carry though they are no parameters, by name without the prefix. */
  isBuffer(name: string): boolean;
  /** Throws ConfigError. */
  parseConfig(json: Readonly<Record<string, unknown>>, file: string): TransformerConfig;
  /** Hugging Face's fields for a config. Throws ConfigError when the family cannot express it. */
  writeConfig(config: TransformerConfig): Record<string, unknown>;
  storedTensors(config: TransformerConfig): StoredTensor[];
  /** What only the weights say: which optional parts are there, by name without the prefix. */
  fitConfig?(config: TransformerConfig, has: (name: string) => boolean): TransformerConfig;
  /** The model without its head, under another one. Default: as one that ties its output matrix. */
  bodyConfig?(config: TransformerConfig): TransformerConfig;
}

/** Fields of any `config.json` that do not change what the model computes in a forward pass. */
const HARMLESS = new Set(
  `architectures model_type torch_dtype dtype transformers_version _name_or_path _commit_hash name_or_path
  bos_token_id eos_token_id pad_token_id sep_token_id cls_token_id unk_token_id mask_token_id decoder_start_token_id
  use_cache initializer_range gradient_checkpointing output_attentions output_hidden_states output_scores return_dict
  return_dict_in_generate use_return_dict torchscript use_bfloat16 cache_implementation tf_legacy_loss id2label label2id num_labels problem_type
  task_specific_params finetuning_task tokenizer_class prefix is_decoder max_length min_length do_sample early_stopping num_beams
  num_beam_groups diversity_penalty temperature top_k top_p typical_p repetition_penalty length_penalty no_repeat_ngram_size
  encoder_no_repeat_ngram_size bad_words_ids num_return_sequences forced_bos_token_id forced_eos_token_id
  remove_invalid_values exponential_decay_length_penalty suppress_tokens begin_suppress_tokens transformers.js_config
  _attn_implementation _attn_implementation_autoset attn_implementation is_llama_config license language`.split(/\s+/),
);

/** Fields that would change the computation, with the one value that does not. */
const FIXED: Readonly<Record<string, unknown>> = {
  is_encoder_decoder: false, add_cross_attention: false, tie_encoder_decoder: false, chunk_size_feed_forward: 0,
};

export const field = {
  size: s.whole(1, 2 ** 31 - 1),
  layers: s.whole(1, 10_000),
  positive: s.number({ above: 0 }),
  boolean: s.boolean(),
};

/** A value for a message, cut where it is long; a list in a list in a list … has no end that could be shown. */
export function show(value: unknown): string {
  let text: string;
  try {
    text = JSON.stringify(value) ?? String(value);
  } catch {
    text = Array.isArray(value) ? 'a list' : 'an object';
  }
  return text.length <= 200 ? text : `${text.slice(0, 200)}…`;
}

/**
 * Reads the fields of `schema` out of a config and refuses what is left, unless it is harmless, null, or in `fixed` with the
 * value given there. `harmless`: further fields of this family that do not matter, dropout for one, which is for training only.
 */
export function readFields<Shape extends s.Shape>(
  json: Readonly<Record<string, unknown>>,
  rules: {
    readonly schema: s.ObjectSchema<Shape>;
    readonly fixed: Readonly<Record<string, unknown>>;
    readonly harmless: readonly string[];
    readonly file: string;
  },
): s.Output<s.ObjectSchema<Shape>> {
  const { schema, file } = rules;
  const fixed: Readonly<Record<string, unknown>> = { ...FIXED, ...rules.fixed };
  for (const [name, value] of Object.entries(json)) {
    if (Object.hasOwn(schema.shape, name) || HARMLESS.has(name) || rules.harmless.includes(name) || value === null) continue;
    if (!Object.hasOwn(fixed, name)) {
      throw new ConfigError(
        `${file}: ${name} is ${show(value)}, a field Parley does not know and which may change the computation: ` +
          'remove it if it does not, or use another model',
        { field: name, value },
      );
    }
    if (show(fixed[name]) !== show(value)) {
      throw new ConfigError(
        `${file}: ${name} is ${show(value)}; Parley computes only ${show(fixed[name])}: use a model trained without it`,
        { field: name, value },
      );
    }
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const { path, message } = result.error;
  const name = path.join('.');
  const value = path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], json);
  throw new ConfigError(
    `${file}: ${name} is ${value === undefined ? 'missing' : show(value)}: ${message}; correct it`,
    { field: name, value, cause: result.error },
  );
}

/** Hugging Face's names of activations, the ones Parley has. */
const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  gelu: 'gelu', gelu_new: 'gelu_tanh', gelu_pytorch_tanh: 'gelu_tanh', silu: 'silu', swish: 'silu',
};

export function parseActivation(value: string, place: { field: string; file: string }): Activation {
  const activation = Object.hasOwn(ACTIVATIONS, value) ? ACTIVATIONS[value] : undefined;
  if (activation !== undefined) return activation;
  throw new ConfigError(
    `${place.file}: ${place.field} is ${show(value)}; Parley computes ${Object.keys(ACTIVATIONS).join(', ')}: ` +
      'use a model with one of these',
    { field: place.field, value },
  );
}

const WRITTEN_ACTIVATIONS: Readonly<Record<Activation, string>> = { gelu: 'gelu', gelu_tanh: 'gelu_pytorch_tanh', silu: 'silu' };

export const writtenActivation = (activation: Activation): string => WRITTEN_ACTIVATIONS[activation];

/**
 * Throws ConfigError unless the config has these values, the only ones its family can write down, and none of the optional features
 * but those that are `free`.
 */
export function expectFields(config: TransformerConfig, fixed: Partial<TransformerConfig>, free: readonly (keyof OptionalFeatures)[] = []): void {
  const absent = Object.fromEntries(optionalFeatures(config).map((name) => [name, undefined]));
  for (const [name, wanted] of Object.entries({ ...absent, ...fixed })) {
    if (free.includes(name as keyof OptionalFeatures)) continue;
    const value = config[name as keyof TransformerConfig];
    if (value !== wanted) {
      throw new ConfigError(
        `a ${config.family} config.json cannot say ${name}: ${show(value)}, the family has ${wanted === undefined ? 'none' : show(wanted)}: ` +
          `change ${name} or the family`,
        { field: name, value },
      );
    }
  }
}
