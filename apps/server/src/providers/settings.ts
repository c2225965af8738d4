/** Where other endpoints are and what opens them: from flags and from a configuration file to settings that can be used. */
import { readFileSync } from 'node:fs';
import * as z from 'zod';

/** A provider as a configuration file has it. Its key never stands in the file itself. */
export const providerConfig = z.strictObject({
  /** Its models are `name/model` here. */
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]*$/i, 'a name has letters, digits, ".", "_" and "-"'),
  /** With the version: https://api.openai.com/v1. */
  baseUrl: z.url({ protocol: /^https?$/, error: 'has to be an address such as https://api.openai.com/v1' }),
  /** The environment variable that holds the key. Default: NAME_API_KEY, if there is one. */
  keyEnv: z.string().min(1).optional(),
  /** A file that holds it; relative to the configuration. */
  keyFile: z.string().min(1).optional(),
  /** Names here → names there. With it, only these are offered. */
  models: z.record(z.string().min(1), z.string().min(1)).optional(),
  /** Silence after which it is given up, before the answer and within a streamed one. */
  timeoutMs: z.int().min(1).default(300_000),
  /** Times a connection that did not come about is tried again. What was sent is never sent twice. */
  retries: z.int().min(0).max(10).default(2),
  /** Send the key over http to another machine. */
  allowHttp: z.boolean().default(false),
});

export type ProviderConfig = z.input<typeof providerConfig>;

export interface ProviderSettings extends Omit<z.output<typeof providerConfig>, 'keyEnv' | 'keyFile' | 'allowHttp'> {
  /** Null: asked without. */
  readonly key: string | null;
}

export class ProviderError extends Error {
  override name = 'ProviderError';
}

const LOOPBACK = /^(?:127(?:\.\d+){3}|localhost|\[::1\])$/;

/** Checks it and gets its key. Throws ProviderError, without the key in it. */
export function resolveProvider(config: unknown, environment: Readonly<Record<string, string | undefined>> = process.env): ProviderSettings {
  const result = providerConfig.safeParse(config);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new ProviderError(`a provider's ${issue?.path.join('.') || 'settings'}: ${issue?.message ?? 'not understood'}`);
  }
  const { keyEnv, keyFile, allowHttp, baseUrl, ...rest } = result.data;
  const { name } = rest;
  const url = new URL(baseUrl);
  if (url.username !== '' || url.password !== '') throw new ProviderError(`provider ${name}: its address has a password in it: name an environment variable or a file for the key instead`);
  if (url.search !== '' || url.hash !== '') throw new ProviderError(`provider ${name}: ${baseUrl} goes on after its path: paths are put behind it, so it has to end there`);
  const key = keyOf({ name, keyEnv, keyFile }, environment);
  if (key !== null && url.protocol === 'http:' && !LOOPBACK.test(url.hostname) && !allowHttp) {
    throw new ProviderError(`provider ${name}: its key would cross the network readable to all: use https, or set allowHttp in the configuration`);
  }
  return { ...rest, baseUrl: baseUrl.replace(/\/+$/, ''), key };
}

function keyOf(
  { name, keyEnv, keyFile }: { name: string; keyEnv: string | undefined; keyFile: string | undefined },
  environment: Readonly<Record<string, string | undefined>>,
): string | null {
  if (keyEnv !== undefined && keyFile !== undefined) throw new ProviderError(`provider ${name}: keyEnv and keyFile are both given: keep one`);
  let key: string | undefined;
  if (keyFile === undefined) {
    key = environment[keyEnv ?? `${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}_API_KEY`]?.trim();
    if (keyEnv !== undefined && (key === undefined || key === '')) throw new ProviderError(`provider ${name}: the environment variable ${keyEnv}, which should hold its key, is empty`);
  } else {
    try {
      key = readFileSync(keyFile, 'utf8').trim();
    } catch (cause) {
      throw new ProviderError(`provider ${name}: its key's file ${keyFile} cannot be read`, { cause });
    }
    if (key === '') throw new ProviderError(`provider ${name}: its key's file ${keyFile} is empty`);
  }
  if (key === undefined || key === '') return null;
  if (!/^[\x21-\x7e]+$/.test(key)) throw new ProviderError(`provider ${name}: its key has characters that no header can have`);
  return key;
}

/** `openai=https://api.openai.com/v1`, and for its key `openai=env:OPENAI_KEY` or `openai=file:/run/secrets/openai`. Throws ProviderError. */
export function providersFromFlags(providers: readonly string[], keys: readonly string[] = []): ProviderConfig[] {
  const split = (text: string, form: string): readonly [string, string] => {
    const at = text.indexOf('=');
    if (at < 1 || at === text.length - 1) throw new ProviderError(`${JSON.stringify(text)}: write it as ${form}`);
    return [text.slice(0, at), text.slice(at + 1)];
  };
  const sources = new Map(keys.map((text) => split(text, 'name=env:VARIABLE or name=file:PATH')));
  const configs = providers.map((text): ProviderConfig => {
    const [name, baseUrl] = split(text, 'name=https://…/v1');
    const source = sources.get(name);
    sources.delete(name);
    if (source === undefined) return { name, baseUrl };
    const [, kind, where] = /^(env|file):(.+)$/.exec(source) ?? [];
    // What was written instead may be the key itself, so it is not repeated.
    if (kind === undefined || where === undefined) throw new ProviderError(`the key of provider ${name}: write env:VARIABLE or file:PATH, not the key itself, which other users of the machine could see`);
    return { name, baseUrl, ...(kind === 'env' ? { keyEnv: where } : { keyFile: where }) };
  });
  const [unused] = sources.keys();
  if (unused !== undefined) throw new ProviderError(`a key is given for ${unused}, which is no provider: name it with --provider ${unused}=https://…/v1`);
  return configs;
}
