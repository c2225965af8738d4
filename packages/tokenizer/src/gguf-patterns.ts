/** How GGUF files name ways of splitting text into words, and what Hugging Face's `pre_tokenizer` is for each. */
import { GPT2_PATTERN, GPT4_PATTERN, QWEN2_PATTERN } from './scanners.ts';

export interface GgufSplit {
  /** Patterns whose matches are cut out one after the other; those of digits stand as `Digits`. */
  readonly stages: readonly string[];
  /** Words that are tokens are taken as a whole. */
  readonly ignoreMerges?: boolean;
  /** Whether texts begin with the bos token where the file does not say. */
  readonly addBos?: boolean;
  /** llama.cpp normalizes nothing; the models' own tokenizers do. */
  readonly normalizer?: 'NFC';
}

const DIGIT = 'digit';

/** GPT-4o's pattern (o200k_base), and Mistral's Tekken, which is it without contractions and with single digits. */
const UPPER = String.raw`[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`;
const LOWER = String.raw`[\p{Ll}\p{Lm}\p{Lo}\p{M}]`;
const o200k = (contractions: string, digits: string): string =>
  String.raw`[^\r\n\p{L}\p{N}]?${UPPER}*${LOWER}+${contractions}|[^\r\n\p{L}\p{N}]?${UPPER}+${LOWER}*${contractions}|\p{N}${digits}` +
  String.raw`| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

const LLAMA3: GgufSplit = { stages: [GPT4_PATTERN], ignoreMerges: true, addBos: true };
const GPT4: GgufSplit = { stages: [GPT4_PATTERN] };
const GPT2: GgufSplit = { stages: [GPT2_PATTERN] };
const SINGLE_DIGITS: GgufSplit = { stages: [DIGIT, GPT2_PATTERN] };
const QWEN2: GgufSplit = { stages: [QWEN2_PATTERN], normalizer: 'NFC' };
const GPT4O: GgufSplit = { stages: [o200k("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", '{1,3}')] };

const SPLITS: Readonly<Record<string, GgufSplit>> = {
  default: {
    stages: [String.raw`[\p{P}\$\+<=>\^~\|]+`, GPT2_PATTERN, String.raw`\p{N}+`, '[0-9][0-9][0-9]'],
  },
  'llama-bpe': LLAMA3, llama3: LLAMA3, 'llama-v3': LLAMA3, falcon3: LLAMA3, pixtral: LLAMA3, lfm2: LLAMA3, 'midm-2.0': LLAMA3,
  'smaug-bpe': GPT4, dbrx: GPT4, 'chatglm-bpe': GPT4, glm4: GPT4,
  'gpt-2': GPT2, 'phi-2': GPT2, 'jina-es': GPT2, 'jina-de': GPT2, 'jina-v2-es': GPT2, 'jina-v2-de': GPT2, mpt: GPT2, olmo: GPT2, jais: GPT2,
  trillion: GPT2, exaone4: GPT2, gigachat: GPT2, 'a.x-4.0': GPT2, mellum: GPT2,
  smollm: SINGLE_DIGITS, starcoder: SINGLE_DIGITS, refact: SINGLE_DIGITS, 'command-r': SINGLE_DIGITS, codeshell: SINGLE_DIGITS,
  exaone: SINGLE_DIGITS, 'minerva-7b': SINGLE_DIGITS,
  qwen2: QWEN2, 'deepseek-r1-qwen': QWEN2, megrez: QWEN2, stablelm2: { stages: [QWEN2_PATTERN] }, hunyuan: { stages: [QWEN2_PATTERN] },
  'gpt-4o': GPT4O, llama4: GPT4O,
  tekken: { stages: [o200k('', '')], ignoreMerges: true, addBos: true },
};

export const splitNamed = (name: string): GgufSplit | undefined => (Object.hasOwn(SPLITS, name) ? SPLITS[name] : undefined);

const split = (pattern: string): object => ({ type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false });
const byteLevel = (useRegex: boolean): object => ({ type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: useRegex });

/** Hugging Face's way of saying it. */
export function preTokenizerOf({ stages }: GgufSplit): object {
  const isLast = stages.at(-1) === GPT2_PATTERN;
  const parts = (isLast ? stages.slice(0, -1) : stages).map((stage) => (stage === DIGIT ? { type: 'Digits', individual_digits: true } : split(stage)));
  return parts.length === 0 ? byteLevel(true) : { type: 'Sequence', pretokenizers: [...parts, byteLevel(isLast)] };
}

interface Stage {
  readonly type?: string;
  readonly pretokenizers?: readonly unknown[];
  readonly pattern?: { readonly Regex?: string };
  readonly behavior?: string;
  readonly invert?: boolean;
  readonly individual_digits?: boolean;
  readonly add_prefix_space?: boolean;
  readonly use_regex?: boolean;
}

/** The stages of a `pre_tokenizer`; null for one that says what no name here can. */
function stagesOf(preTokenizer: unknown): string[] | null {
  const { type, pretokenizers = [], pattern, behavior, invert = false, ...stage } = (preTokenizer ?? {}) as Stage;
  if (type === 'Sequence') {
    const parts = pretokenizers.map(stagesOf);
    return parts.includes(null) ? null : parts.flatMap((part) => part ?? []);
  }
  if (type === 'Digits') return stage.individual_digits === true ? [DIGIT] : null;
  if (type === 'ByteLevel') return (stage.add_prefix_space ?? true) ? null : (stage.use_regex ?? true) ? [GPT2_PATTERN] : [];
  const cuts = (behavior === 'Isolated' && !invert) || (behavior === 'Removed' && invert);
  return type === 'Split' && cuts && pattern?.Regex !== undefined ? [pattern.Regex] : null;
}

/** The names to write: of those that mean the same, the ones that llama.cpp's own converter writes. */
const WRITTEN = ['llama-bpe', 'smaug-bpe', 'qwen2', 'stablelm2', 'smollm', 'gpt-2', 'gpt-4o', 'tekken'];

/**
 * The name of a `pre_tokenizer` and a normalizer (undefined for none) together; undefined where there is none. `ignoreMerges`: whether
 * words that are tokens are taken as a whole, null where that makes no difference.
 */
export function splitOf(tokenizer: { preTokenizer: unknown; normalizer: string | undefined; ignoreMerges: boolean | null }): string | undefined {
  const { normalizer, ignoreMerges } = tokenizer;
  const stages = stagesOf(tokenizer.preTokenizer)?.join('\n');
  return WRITTEN.find((name) => {
    const known = splitNamed(name);
    return known?.stages.join('\n') === stages && known?.normalizer === normalizer && (ignoreMerges === null || (known?.ignoreMerges ?? false) === ignoreMerges);
  });
}
