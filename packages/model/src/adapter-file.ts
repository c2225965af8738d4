/**
 * LoRA adapters in PEFT's format (huggingface/peft, "PEFT checkpoint format"): `adapter_config.json` and, in
 * `adapter_model.safetensors`, `base_model.model.MODULE.lora_A.weight` (rank, in) and `.lora_B.weight` (out, rank), f32, f16 or bf16.
 * GPT-2's layers are stored (in, out) by the model, not by its adapters; the config says so as `fan_in_fan_out`.
 */
import { type Backend, type Tensor, Tensor as EngineTensor } from '@parley/engine';
import { type Checkpoint, encodeTensors, type FileDType } from './checkpoint.ts';
import type { TransformerConfig } from './config.ts';
import { AdapterError, CheckpointError } from './errors.ts';
import { families } from './hugging-face.ts';
import { adaptableModules, LoraAdapter, type LoraOptions } from './lora.ts';
import * as s from './schema.ts';

const PREFIX = 'base_model.model.';

const schema = s.object({
  peft_type: s.literal('LORA'),
  r: s.whole(1),
  lora_alpha: s.number({ above: 0 }),
  lora_dropout: s.number({ from: 0, below: 1 }).default(0),
  target_modules: s.either(s.array(s.string()), s.string(), 'a list of texts, or a text').nullish(),
  use_rslora: s.boolean().default(false),
  bias: s.literal('none').default('none'),
  base_model_name_or_path: s.string().nullish(),
});

/** Fields that change nothing in what an adapter computes, or that its tensors' names and shapes say already. */
const HARMLESS = new Set(
  `auto_mapping base_model_class parent_library inference_mode init_lora_weights layers_pattern layers_to_transform exclude_modules
  megatron_config megatron_core revision task_type peft_version fan_in_fan_out qalora_group_size runtime_config loftq_config eva_config
  corda_config ephemeral_gpu_offload enable_lora merge_weights`.split(/\s+/),
);

/** Ways of starting that change the base model's own weights, which the adapter then does not fit. */
const CHANGES_BASE = /^(?:pissa|olora|corda|loftq|lora_ga)/;

/** What an `adapter_config.json` says. */
export interface AdapterConfig extends LoraOptions {
  /** The model it was trained on, as whoever wrote the file called it. */
  readonly baseModel: string | null;
}

/** Reads a parsed `adapter_config.json`. Throws AdapterError for anything but LoRA as Parley computes it. `file` is for messages. */
export function parseAdapterConfig(json: unknown, file = 'adapter_config.json'): AdapterConfig {
  const object = s.record(s.unknown()).safeParse(json);
  if (!object.success) throw new AdapterError(`${file} is not a JSON object`);
  const show = (value: unknown): string => JSON.stringify(value) ?? 'missing';
  for (const [field, value] of Object.entries(object.data)) {
    if (field === 'init_lora_weights' && typeof value === 'string' && CHANGES_BASE.test(value)) {
      throw new AdapterError(`${file}: init_lora_weights is "${value}", which changes the base model too: convert the adapter to plain LoRA with PEFT`);
    }
    if (field in schema.shape || HARMLESS.has(field) || isEmpty(value)) continue;
    throw new AdapterError(`${file}: ${field} is ${show(value)}, which Parley does not compute: use an adapter without it`);
  }
  const result = schema.safeParse(object.data);
  if (!result.success) {
    const field = result.error.path.join('.');
    throw new AdapterError(`${file}: ${field} is ${show(object.data[field])}: ${result.error.message}`, { cause: result.error });
  }
  const { r: rank, lora_alpha: alpha, lora_dropout: dropout, target_modules: targets, use_rslora: rankStabilized, base_model_name_or_path: base } = result.data;
  return { rank, alpha, dropout, rankStabilized, ...(Array.isArray(targets) && { targets }), baseModel: base ?? null };
}

/** What a field has that is not used: PEFT writes them all. */
const isEmpty = (value: unknown): boolean =>
  value === null || value === false || value === 0 || (typeof value === 'object' && Object.keys(value).length === 0);

/** The `adapter_config.json` that PEFT loads the same adapter from. */
export function toAdapterConfigJSON(adapter: LoraAdapter, config: TransformerConfig, baseModel: string | null): Record<string, unknown> {
  const { rank, alpha, dropout, targets, rankStabilized } = adapter.options;
  return {
    alpha_pattern: {},
    auto_mapping: null,
    base_model_name_or_path: baseModel,
    bias: 'none',
    fan_in_fan_out: families[config.family].storedTensors(config).some(({ transposed }) => transposed),
    inference_mode: true,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: null,
    lora_alpha: alpha,
    lora_dropout: dropout,
    modules_to_save: null,
    peft_type: 'LORA',
    r: rank,
    rank_pattern: {},
    revision: null,
    target_modules: targets,
    task_type: 'CAUSAL_LM',
    use_dora: false,
    use_rslora: rankStabilized,
  };
}

/**
 * The adapter in a weight file, for models of `config`. Throws AdapterError when it was made for another model, CheckpointError for
 * a damaged file, MemoryLimitError; then nothing stays allocated.
 */
export async function readAdapter(
  backend: Backend, config: TransformerConfig, source: { readonly options: LoraOptions; readonly checkpoint: Checkpoint },
): Promise<LoraAdapter> {
  const { checkpoint, options } = source;
  using taken = new DisposableStack();
  const known = new Set(adaptableModules(config).map(({ name }) => name));
  const parameters = new Map<string, Tensor>();
  for (const key of checkpoint.names) {
    const name = key.startsWith(PREFIX) ? key.slice(PREFIX.length) : key;
    const module = /^(.*)\.lora_[AB]\.weight$/.exec(name)?.[1];
    if (module === undefined || !known.has(module)) {
      throw new AdapterError(`${checkpoint.name} has the tensor ${key}, for which this ${config.family} model has no place: it was made for another model`);
    }
    const { shape } = checkpoint.info(key);
    if (shape.length !== 2) throw new CheckpointError(`${checkpoint.name}: ${key} is [${shape.join(', ')}], no matrix: fetch the file again`, { file: checkpoint.name, tensor: key });
    const tensor = taken.use(EngineTensor.allocate(backend, shape));
    const values = new Float32Array(tensor.size);
    await checkpoint.read(key, 0, values);
    tensor.write(values);
    parameters.set(name, tensor);
  }
  const adapter = new LoraAdapter(config, options, parameters);
  taken.move();
  return adapter;
}

/** The bytes of `adapter_model.safetensors`, piece by piece. Throws CheckpointError for a value too large for `dtype`. */
export function encodeAdapter(adapter: LoraAdapter, dtype: FileDType = 'f32'): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  return encodeTensors(new Map([...adapter.parameters].map(([name, tensor]) => [PREFIX + name, tensor])), dtype);
}
