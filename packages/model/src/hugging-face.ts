/** Hugging Face's `config.json` to and from a TransformerConfig, whatever the family. */
import * as z from 'zod';
import type { TransformerConfig } from './config.ts';
import { ConfigError } from './errors.ts';
import type { Family } from './family.ts';
import { gpt2 } from './gpt2.ts';
import { llama } from './llama.ts';

/** By `model_type`. */
export const families: Readonly<Record<TransformerConfig['family'], Family>> = { gpt2, llama };

/**
 * Reads a parsed `config.json`. Throws ConfigError for a family, a field or a value whose mathematics Parley does not compute.
 * `file` is for messages.
 */
export function parseConfigJSON(json: unknown, file = 'config.json'): TransformerConfig {
  const object = z.record(z.string(), z.unknown()).safeParse(json);
  if (!object.success) throw new ConfigError(`${file} is not a JSON object`, { field: '', value: json });
  const { model_type: type } = object.data;
  const family = Object.values(families).find(({ name }) => name === type);
  if (family === undefined) {
    throw new ConfigError(
      `${file}: model_type is ${JSON.stringify(type) ?? 'missing'}; Parley knows ${Object.keys(families).join(' and ')}: ` +
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
