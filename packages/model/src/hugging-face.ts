/** Hugging Face's `config.json` to and from a TransformerConfig, whatever the family. */
import { bert } from './bert.ts';
import type { FamilyName, TransformerConfig } from './config.ts';
import { ConfigError } from './errors.ts';
import { type Family, show } from './family.ts';
import { gemma, gemma3 } from './gemma.ts';
import { gpt2 } from './gpt2.ts';
import { llama } from './llama.ts';
import { mistral } from './mistral.ts';
import { qwen2, qwen3 } from './qwen.ts';
import * as s from './schema.ts';

/** By `model_type`. */
export const families: Readonly<Record<FamilyName, Family>> = { gpt2, llama, mistral, qwen2, qwen3, gemma, gemma3_text: gemma3, bert };

/**
 * Reads a parsed `config.json`. Throws ConfigError for a family, a field or a value whose mathematics Parley does not compute.
 * `file` is for messages.
 */
export function parseConfigJSON(json: unknown, file = 'config.json'): TransformerConfig {
  const object = s.record(s.unknown()).safeParse(json);
  if (!object.success) throw new ConfigError(`${file} is not a JSON object`, { field: '', value: json });
  const { model_type: type } = object.data;
  const family = Object.values(families).find(({ name }) => name === type);
  if (family === undefined) {
    throw new ConfigError(
      `${file}: model_type is ${type === undefined ? 'missing' : show(type)}; Parley knows ${Object.keys(families).join(', ')}: ` +
        'use a model of these families',
      { field: 'model_type', value: type },
    );
  }
  return family.parseConfig(object.data, file);
}

/** The `config.json` that `transformers` builds the same model from. Throws ConfigError when the family cannot express the config. */
export function toConfigJSON(config: TransformerConfig, extra: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const family = families[config.family];
  return { architectures: [family.architecture], model_type: family.name, ...family.writeConfig(config), ...extra };
}
