/** `parley serve --config FILE`: everything the flags say, and what is too long for flags, in YAML. Flags win over the file. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { nearestName } from '@parley/model';
import { LineCounter, parseDocument } from 'yaml';
import * as z from 'zod';
import { providerConfig } from './providers/settings.ts';

const whole = z.int().min(1);
const texts = z.array(z.string().min(1));

const limits = z.strictObject({
  /** Of keys that have none of their own, and of accounts. */
  requestsPerMinute: whole.optional(),
  tokensPerMinute: whole.optional(),
  bodyBytes: whole.optional(),
  headerBytes: whole.optional(),
  headersSeconds: whole.optional(),
  requestSeconds: whole.optional(),
  idleSeconds: whole.optional(),
  connections: whole.optional(),
});

export const serverConfig = z.strictObject({
  /** The first is the default. Paths that begin with a dot are relative to the file. */
  models: texts.min(1).optional(),
  aliases: z.record(z.string().min(1), z.string().min(1)).optional(),
  providers: z.array(providerConfig).optional(),
  port: z.int().min(0).max(65_535).optional(),
  host: z.string().min(1).optional(),
  allowHosts: texts.optional(),
  cors: z.array(z.url({ protocol: /^https?$/, error: 'has to be an origin such as https://app.example' })).optional(),
  trustProxy: z.boolean().optional(),
  /** A folder, relative to the file, or none. */
  data: z.string().min(1).optional(),
  database: z.string().min(1).optional(),
  dtype: z.enum(['f32', 'q8', 'q4']).optional(),
  backend: z.enum(['auto', 'native', 'wasm', 'reference']).optional(),
  threads: z.int().min(1).max(64).optional(),
  limits: limits.optional(),
  drainSeconds: z.number().min(0).optional(),
  log: z.enum(['json', 'text', 'off']).optional(),
  logContent: z.boolean().optional(),
  open: z.boolean().optional(),
});

export type ServerConfig = z.output<typeof serverConfig>;

export class ConfigError extends Error {
  override name = 'ConfigError';
}

/** Throws ConfigError naming the file and every field that is wrong. */
export async function readServerConfig(path: string): Promise<ServerConfig> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new ConfigError(`the configuration ${path} cannot be read`, { cause });
  }
  const config = parseServerConfig(text, path);
  const from = (place: string): string => resolve(dirname(path), place);
  return {
    ...config,
    ...(config.models && { models: config.models.map((model) => (/^\.{1,2}[/\\]/.test(model) ? from(model) : model)) }),
    ...(config.providers && { providers: config.providers.map((provider) => (provider.keyFile === undefined ? provider : { ...provider, keyFile: from(provider.keyFile) })) }),
    ...(config.data !== undefined && config.data !== 'none' && { data: from(config.data) }),
    ...(config.database !== undefined && { database: config.database.replace(/^sqlite:(.+)$/, (_, file: string) => `sqlite:${from(file)}`) }),
  };
}

/** The file's text as it stands. Throws ConfigError. */
export function parseServerConfig(text: string, path = 'configuration'): ServerConfig {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  if (document.errors.length > 0) throw new ConfigError(`${path}: ${document.errors.map((error) => error.message.split('\n')[0] ?? '').join('; ')}`);
  const value: unknown = document.toJS() ?? {};
  const result = serverConfig.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => {
    const node: unknown = document.getIn(issue.path, true);
    const range = typeof node === 'object' && node !== null && 'range' in node ? (node.range as readonly number[] | null) : null;
    const where = range?.[0] === undefined ? '' : `line ${lines.linePos(range[0]).line}, `;
    const field = issue.path.map(String).join('.');
    if (issue.code !== 'unrecognized_keys') return `${where}${field === '' ? 'the file' : field}: ${issue.message}`;
    return issue.keys.map((key) => `${where}unknown field ${field === '' ? key : `${field}.${key}`}${suggestion(key, field)}`).join('; ');
  });
  throw new ConfigError(`${path}: ${problems.join('; ')}`);
}

function suggestion(key: string, field: string): string {
  const known = field === '' ? Object.keys(serverConfig.shape) : field === 'limits' ? Object.keys(limits.shape) : field.startsWith('providers') ? Object.keys(providerConfig.shape) : [];
  const nearest = nearestName(key, known);
  return nearest === undefined ? '' : ` (is it ${nearest}?)`;
}
