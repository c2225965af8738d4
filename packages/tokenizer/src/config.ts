/**
 * tokenizer_config.json: which token plays which role, and the chat template. Read leniently, since it is full of
 * settings for Python classes, and kept whole, so that writing it back loses nothing.
 */
import { TokenizerFormatError } from './errors.ts';
import { describe } from './fields.ts';

export interface TokenizerConfig {
  bosToken: string | undefined;
  eosToken: string | undefined;
  padToken: string | undefined;
  unkToken: string | undefined;
  maskToken: string | undefined;
  chatTemplate: string | undefined;
  /** Undefined where the file has none, or Hugging Face's placeholder for it (over 10¹⁵). */
  modelMaxLength: number | undefined;
  /** The whole file, as it was. */
  raw: Readonly<Record<string, unknown>>;
}

/** @throws TokenizerFormatError when a field that Parley reads has a type it cannot have. */
export function parseTokenizerConfig(json: unknown): TokenizerConfig {
  if (json !== undefined && (typeof json !== 'object' || json === null || Array.isArray(json))) {
    throw new TokenizerFormatError('tokenizer_config', `is ${describe(json)}: expected an object`);
  }
  const raw = (json ?? {}) as Record<string, unknown>;
  return {
    bosToken: tokenOf(raw, 'bos_token'),
    eosToken: tokenOf(raw, 'eos_token'),
    padToken: tokenOf(raw, 'pad_token'),
    unkToken: tokenOf(raw, 'unk_token'),
    maskToken: tokenOf(raw, 'mask_token'),
    chatTemplate: chatTemplateOf(raw['chat_template']),
    modelMaxLength: maxLengthOf(raw['model_max_length']),
    raw,
  };
}

/** A token stands as a string, or as an object with its content. */
function tokenOf(raw: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = raw[name] ?? undefined;
  if (value === undefined || typeof value === 'string') return value;
  const content: unknown = typeof value === 'object' && value !== null && 'content' in value ? value.content : undefined;
  if (typeof content === 'string') return content;
  throw new TokenizerFormatError(name, `is ${describe(value)}: expected a token or an object with its content`);
}

/** One template, or a list of named ones, of which `default` is the one for chatting. */
function chatTemplateOf(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) {
    for (const entry of value as unknown[]) {
      if (typeof entry !== 'object' || entry === null || !('name' in entry) || !('template' in entry)) continue;
      if (entry.name === 'default' && typeof entry.template === 'string') return entry.template;
    }
  }
  throw new TokenizerFormatError('chat_template', `is ${describe(value)}: expected a template, or a list with one named "default"`);
}

function maxLengthOf(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || value <= 0) throw new TokenizerFormatError('model_max_length', `is ${describe(value)}: expected a number`);
  return value > 1e15 ? undefined : value;
}
