/**
 * What GGUF files call a model's tensors (gguf-py's tensor names), for each architecture, and how they lie. All matrices are (out, in).
 *
 * Architecture `llama` keeps the rows of queries and keys so that the two elements of a rotary pair are neighbours; everywhere else, and
 * in Parley, they are half a head apart.
 */
import type { TransformerConfig } from '../config.ts';
import { ConfigError } from '../errors.ts';
import { parameterSpecs } from '../parameters.ts';

/** By `general.architecture`. */
export const ARCHITECTURES = ['llama', 'qwen2', 'qwen3', 'gemma', 'gemma3', 'gpt2', 'bert'] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

const ARCHITECTURE_OF: Readonly<Record<TransformerConfig['family'], Architecture>> = {
  llama: 'llama', mistral: 'llama', qwen2: 'qwen2', qwen3: 'qwen3', gemma: 'gemma', gemma3_text: 'gemma3', gpt2: 'gpt2', bert: 'bert',
};

export const architectureOf = ({ family }: TransformerConfig): Architecture => ARCHITECTURE_OF[family];

export interface GgufStored {
  readonly name: string;
  readonly shape: readonly number[];
  /** Internal names; several lie one after the other. */
  readonly parameters: readonly string[];
  /** Heads whose rotary pairs lie side by side. */
  readonly paired?: number;
}

/** Outside of the layers. */
const NAMES: Readonly<Record<string, string>> = {
  'model.embed_tokens': 'token_embd', 'model.embed_positions': 'position_embd', 'model.embed_token_types': 'token_types',
  'model.embed_norm': 'token_embd_norm', 'model.norm': 'output_norm', lm_head: 'output',
};

const LAYER_NAMES: Readonly<Record<string, string>> = {
  input_layernorm: 'attn_norm', 'self_attn.q_proj': 'attn_q', 'self_attn.k_proj': 'attn_k', 'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output', 'self_attn.q_norm': 'attn_q_norm', 'self_attn.k_norm': 'attn_k_norm', post_attention_layernorm: 'ffn_norm',
  'mlp.gate_proj': 'ffn_gate', 'mlp.up_proj': 'ffn_up', 'mlp.down_proj': 'ffn_down', attention_output_layernorm: 'post_attention_norm',
  mlp_output_layernorm: 'post_ffw_norm',
};

const BERT_NAMES: Readonly<Record<string, string>> = {
  ...LAYER_NAMES, attention_output_layernorm: 'attn_output_norm', mlp_output_layernorm: 'layer_output_norm',
};

/** Every tensor of a model, in the order of the forward pass. Throws ConfigError for a part that GGUF files have no name for. */
export function ggufTensors(config: TransformerConfig): GgufStored[] {
  const architecture = architectureOf(config);
  const tensors: GgufStored[] = [];
  for (const { name, shape } of parameterSpecs(config)) {
    const [, layer, part, kind] = /^(?:model\.layers\.(\d+)\.)?(.*)\.(weight|bias)$/.exec(name) ?? [];
    const table = layer === undefined ? NAMES : architecture === 'bert' ? BERT_NAMES : LAYER_NAMES;
    const stored = table[part ?? ''];
    if (stored === undefined) {
      throw new ConfigError(`a GGUF file of architecture ${architecture} has no place for ${name}: write safetensors`, { field: 'head', value: config.head });
    }
    const block = layer === undefined ? '' : `blk.${layer}.`;
    if (architecture === 'gpt2' && /^self_attn\.[kv]_proj$/.test(part ?? '')) continue;
    if (architecture === 'gpt2' && part === 'self_attn.q_proj') {
      const [rows = 0, ...rest] = shape;
      const parameters = ['q', 'k', 'v'].map((letter) => name.replace('q_proj', `${letter}_proj`));
      tensors.push({ name: `${block}attn_qkv.${kind}`, shape: [3 * rows, ...rest], parameters });
      continue;
    }
    const heads = architecture !== 'llama' ? undefined : part === 'self_attn.q_proj' ? config.heads : part === 'self_attn.k_proj' ? config.keyValueHeads : undefined;
    tensors.push({ name: `${block}${stored}.${kind}`, shape, parameters: [name], ...(heads !== undefined && { paired: heads }) });
  }
  return tensors;
}

/**
 * The rows of whole heads, from pairs half a head apart to pairs side by side, or back. `headRows`: rows of a head; `width`: values of a
 * row.
 */
export function permutePairs(values: Float32Array, out: Float32Array, how: { headRows: number; width: number; to: 'neighbours' | 'halves' }): void {
  const { headRows, width, to } = how;
  const half = headRows / 2;
  for (let row = 0; row < values.length / width; row++) {
    const head = row - (row % headRows);
    const inHead = row - head;
    const moved = to === 'neighbours' ? 2 * (inHead % half) + (inHead < half ? 0 : 1) : (inHead >> 1) + (inHead & 1) * half;
    out.set(values.subarray(row * width, (row + 1) * width), (head + moved) * width);
  }
}
