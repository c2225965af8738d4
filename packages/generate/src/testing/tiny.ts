/** A model and a tokenizer small enough for tests: 256 bytes and three special tokens, random weights that matter. */
import { Arena, type Backend, Random } from '@parley/engine';
import { gpt2Config, llamaConfig, singleSequence, Transformer, type TransformerConfig } from '@parley/model';
import { CHATML_TEMPLATE, Tokenizer } from '@parley/tokenizer';

export const END_OF_TEXT = 256;
export const TURN_START = 257;
export const TURN_END = 258;

/** GPT-2's byte alphabet: printable bytes are themselves, the others the code points from 256 on. */
function byteAlphabet(): string[] {
  const printable = (byte: number): boolean => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
}

export function tinyTokenizer(options: { chat?: boolean } = {}): Tokenizer {
  const special = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];
  return Tokenizer.fromJSON(
    {
      added_tokens: special.map((content, i) => ({ id: 256 + i, content, special: true, single_word: false, lstrip: false, rstrip: false, normalized: false })),
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
      decoder: { type: 'ByteLevel' },
      model: { type: 'BPE', vocab: Object.fromEntries(byteAlphabet().map((token, id) => [token, id])), merges: [] },
    },
    {
      eos_token: '<|endoftext|>', bos_token: '<|endoftext|>',
      ...(options.chat !== false && { chat_template: CHATML_TEMPLATE }),
    },
  );
}

export const tinyConfig = (family: 'gpt2' | 'llama' = 'llama', sizes: { vocabSize?: number; contextLength?: number } = {}): TransformerConfig => {
  const { vocabSize = 259, contextLength = 64 } = sizes;
  return family === 'gpt2'
    ? gpt2Config({ vocabSize, contextLength, hiddenSize: 16, heads: 2, layers: 2 })
    : llamaConfig({ vocabSize, contextLength, hiddenSize: 16, heads: 2, keyValueHeads: 1, layers: 2, intermediateSize: 32 });
};

/** Weights ~ N(0, 0.5²) (gains around 1): large enough that logits differ by more than rounding. */
export function tinyModel(backend: Backend, config: TransformerConfig = tinyConfig(), seed = 1): Transformer {
  const model = Transformer.initialize(backend, config, new Random(seed));
  const random = new Random(seed);
  for (const [name, tensor] of model.parameters) {
    const center = name.endsWith('norm.weight') ? 1 : 0;
    tensor.write(Float32Array.from({ length: tensor.size }, () => center + 0.5 * random.normal()));
  }
  return model;
}

/** Logits (V) after the last token, by one pass over everything, without a cache. */
export async function uncachedLogits(model: Transformer, tokens: readonly number[]): Promise<Float32Array> {
  using arena = new Arena(model.backend);
  const logits = model.forward({ arena, tape: null }, { ...singleSequence(tokens), logitRows: Int32Array.of(tokens.length - 1) });
  return await logits.read();
}
