/** The feature-extraction pipeline: texts as vectors, in Transformers.js's shape. */
import { OptionError, unknownOption } from '@parley/generate';
import type { Tokenizer } from '@parley/tokenizer';
import { encodeTexts } from './encode-texts.ts';
import type { SequenceModel, SequenceModelInfo } from './sequence-model.ts';

const POOLINGS = { none: 'none', mean: 'mean', cls: 'cls', first_token: 'cls', last_token: 'last' } as const;

export interface FeatureExtractionOptions {
  /**
   * One vector a text: the mean of its tokens' states (sentence-transformers' way), the first's (`cls`, `first_token`) or the last's.
   * `none`, the default: one for each token.
   */
  pooling?: keyof typeof POOLINGS;
  /** Vectors of length 1, so that dot products are cosines. Default false. */
  normalize?: boolean;
  /** Cut a text that is over the model's context to its beginning; otherwise it is an error. Default false. */
  truncation?: boolean;
  signal?: AbortSignal;
}

/** Numbers in a shape, as Transformers.js gives them. */
export interface Features {
  readonly type: 'float32';
  /** [texts, hidden] pooled, else [texts, tokens of the longest, hidden], with zeros behind shorter texts. */
  readonly dims: readonly number[];
  readonly data: Float32Array;
  /** As nested lists. */
  tolist(): number[][] | number[][][];
}

export interface FeatureExtractionPipeline extends AsyncDisposable {
  (texts: string | readonly string[], options?: FeatureExtractionOptions): Promise<Features>;
  readonly task: 'feature-extraction';
  readonly info: SequenceModelInfo;
  readonly tokenizer: Tokenizer;
  /** Frees the model. */
  dispose(): Promise<void>;
}

const OPTION_NAMES = ['pooling', 'normalize', 'truncation', 'signal'];

export function featureExtraction(model: SequenceModel, tokenizer: Tokenizer): FeatureExtractionPipeline {
  const { contextLength, hiddenSize } = model.info;

  const call = async (input: string | readonly string[], options: FeatureExtractionOptions = {}): Promise<Features> => {
    const { pooling = 'none', normalize = false, truncation = false, signal } = options;
    for (const name of Object.keys(options)) if (!OPTION_NAMES.includes(name)) throw unknownOption(name, OPTION_NAMES);
    if (!Object.hasOwn(POOLINGS, pooling)) throw new OptionError(`pooling is ${JSON.stringify(pooling)}: it has to be ${Object.keys(POOLINGS).join(', ')}`, { option: 'pooling', value: pooling });
    const sequences = encodeTexts(input, { tokenizer, contextLength, truncation });
    const vectors = await model.answer(sequences, { type: 'states', pooling: POOLINGS[pooling], normalize }, signal);
    const longest = vectors.reduce((most, { length }) => Math.max(most, length), 0);
    const data = new Float32Array(vectors.length * longest);
    for (const [i, vector] of vectors.entries()) data.set(vector, i * longest);
    return features(data, pooling === 'none' ? [vectors.length, longest / hiddenSize, hiddenSize] : [vectors.length, hiddenSize]);
  };

  return Object.assign(call, {
    task: 'feature-extraction' as const,
    info: model.info,
    tokenizer,
    dispose: () => model.dispose(),
    [Symbol.asyncDispose]: () => model.dispose(),
  });
}

function features(data: Float32Array, dims: readonly number[]): Features {
  const lists = (axis: number, from: number): unknown => {
    const size = dims.slice(axis + 1).reduce((product, extent) => product * extent, 1);
    if (axis === dims.length - 1) return [...data.subarray(from, from + (dims[axis] ?? 0))];
    return Array.from({ length: dims[axis] ?? 0 }, (_, i) => lists(axis + 1, from + i * size));
  };
  return { type: 'float32', dims, data, tolist: () => lists(0, 0) as number[][] };
}
