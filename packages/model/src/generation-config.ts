/** What a model folder says about how to generate with it, `generation_config.json`, and where sequences begin and end. */
import { ConfigError } from './errors.ts';
import * as s from './schema.ts';

export interface GenerationConfig {
  readonly bosTokenId?: number | undefined;
  /** Tokens that end a sequence; may be empty. */
  readonly eosTokenIds: readonly number[];
  readonly padTokenId?: number | undefined;
  /** The file's other fields under Hugging Face's names (`temperature`, `top_k`, …), as they stand: generation checks them. */
  readonly defaults: Readonly<Record<string, unknown>>;
}

const id = s.whole(0);
const schema = s.looseObject({
  bos_token_id: id.nullish(),
  eos_token_id: s.either(id, s.array(id), 'a whole number from 0, or a list of such').nullish(),
  pad_token_id: id.nullish(),
});

/** Fields that say where the file came from, not how to generate. */
const ORIGIN = new Set(['_from_model_config', 'transformers_version']);

/** Reads a parsed `generation_config.json` or, for its token ids, a `config.json`. Throws ConfigError. */
export function parseGenerationConfig(json: unknown, file = 'generation_config.json'): GenerationConfig {
  const result = schema.safeParse(json);
  if (!result.success) {
    const { path, message } = result.error;
    const name = path.join('.');
    throw new ConfigError(`${file}: ${name} is not a token id: ${message}; correct it`, {
      field: name,
      value: json,
      cause: result.error,
    });
  }
  const { bos_token_id: bos, eos_token_id: eos, pad_token_id: pad, ...rest } = result.data;
  return {
    bosTokenId: bos ?? undefined,
    eosTokenIds: typeof eos === 'number' ? [eos] : (eos ?? []),
    padTokenId: pad ?? undefined,
    defaults: Object.fromEntries(Object.entries(rest).filter(([name]) => !ORIGIN.has(name))),
  };
}

/** The token ids as `config.json` and `generation_config.json` name them. */
export function tokenIdsJSON(config: Partial<GenerationConfig>): Record<string, unknown> {
  const { bosTokenId, eosTokenIds = [], padTokenId } = config;
  return {
    ...(bosTokenId === undefined ? {} : { bos_token_id: bosTokenId }),
    ...(eosTokenIds.length === 0 ? {} : { eos_token_id: eosTokenIds.length === 1 ? eosTokenIds[0] : eosTokenIds }),
    ...(padTokenId === undefined ? {} : { pad_token_id: padTokenId }),
  };
}
