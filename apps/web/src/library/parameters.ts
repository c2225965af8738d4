/**
 * What can be set about an answer: ranges, steps and neutral values, the server's bounds (`talkParameters` of the protocol; a test holds
 * the two together). A parameter that is not set is left to the model's own folder.
 */
import type { TalkParameters } from '@parley/protocol';

export type NumberName = Exclude<keyof TalkParameters, 'system' | 'stop'>;

export interface NumberParameter {
  readonly name: NumberName;
  readonly min: number;
  readonly max: number;
  /** The smallest value is not allowed itself. */
  readonly open?: boolean;
  readonly whole?: boolean;
  /** Of the slider, which may show less than is allowed; none: a field alone, where a slider would mean nothing. */
  readonly slider?: { readonly min: number; readonly max: number; readonly step: number };
  /** Where the slider stands while nothing is set: what changes nothing, or what is common. */
  readonly neutral: number;
  /** Behind 'more'. */
  readonly rare?: boolean;
}

const MOST = Number.MAX_SAFE_INTEGER;

export const NUMBERS: readonly NumberParameter[] = [
  { name: 'temperature', min: 0, max: 2, slider: { min: 0, max: 2, step: 0.05 }, neutral: 1 },
  { name: 'top_p', min: 0, max: 1, open: true, slider: { min: 0.05, max: 1, step: 0.05 }, neutral: 1 },
  { name: 'top_k', min: 0, max: MOST, whole: true, slider: { min: 0, max: 200, step: 1 }, neutral: 0 },
  { name: 'min_p', min: 0, max: 1, slider: { min: 0, max: 1, step: 0.01 }, neutral: 0 },
  { name: 'repetition_penalty', min: 0, max: MOST, open: true, slider: { min: 0.5, max: 2, step: 0.05 }, neutral: 1 },
  { name: 'max_tokens', min: 1, max: MOST, whole: true, neutral: 256 },
  { name: 'seed', min: 0, max: 2 ** 32 - 1, whole: true, neutral: 0 },
  { name: 'presence_penalty', min: -2, max: 2, slider: { min: -2, max: 2, step: 0.1 }, neutral: 0, rare: true },
  { name: 'frequency_penalty', min: -2, max: 2, slider: { min: -2, max: 2, step: 0.1 }, neutral: 0, rare: true },
  { name: 'no_repeat_ngram_size', min: 0, max: MOST, whole: true, slider: { min: 0, max: 10, step: 1 }, neutral: 0, rare: true },
];

export const STOP_LIMIT = 4;

export type Fault = 'number' | 'whole' | 'small' | 'large';

/** A field's text: nothing (the model's own), a value, or what is wrong with it. */
export type Reading = { readonly value?: number; readonly fault?: never } | { readonly fault: Fault };

/** Takes a comma for a point, as half of the world writes it, and full-width digits. */
export function readNumber(spec: NumberParameter, text: string): Reading {
  const plain = text.normalize('NFKC').trim().replace(/^([+-]?\d*),(\d+)$/, '$1.$2');
  if (plain === '') return {};
  if (!/^[+-]?(\d+\.?\d*|\.\d+)$/.test(plain)) return { fault: 'number' };
  const value = Number(plain);
  const fault = faultOf(spec, value);
  return fault === undefined ? { value } : { fault };
}

function faultOf({ min, max, open, whole }: NumberParameter, value: number): Fault | undefined {
  if (!Number.isFinite(value)) return 'number';
  if (value < min || (open === true && value === min)) return 'small';
  if (value > max) return 'large';
  return whole === true && !Number.isInteger(value) ? 'whole' : undefined;
}

/** Texts that end an answer: one a line, `\n` for a line break, `\t` for a tab, `\\` for a backslash. */
export function readStops(text: string): string[] {
  const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', '\\': '\\' };
  const lines = text.split('\n').map((line) => line.replace(/\\([nt\\])/g, (_, letter: string) => escapes[letter] ?? letter));
  return [...new Set(lines.filter((line) => line !== ''))];
}

export const writeStops = (stops: readonly string[]): string => stops.map((stop) => stop.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\t', '\\t')).join('\n');

/** What was kept or brought in, without anything that the server would refuse. */
export function soundParameters(kept: unknown): TalkParameters {
  if (typeof kept !== 'object' || kept === null) return {};
  const source = kept as Record<string, unknown>;
  const numbers = NUMBERS.flatMap((spec) => {
    const value = source[spec.name];
    return typeof value === 'number' && faultOf(spec, value) === undefined ? [[spec.name, value] as const] : [];
  });
  const stops = Array.isArray(source['stop']) ? source['stop'].filter((stop): stop is string => typeof stop === 'string' && stop !== '').slice(0, STOP_LIMIT) : [];
  return {
    ...Object.fromEntries(numbers),
    ...(stops.length > 0 && { stop: stops }),
    ...(typeof source['system'] === 'string' && source['system'].trim() !== '' && { system: source['system'] }),
  };
}

/** With one set, or left to the model again. */
export function withParameter<Name extends keyof TalkParameters>(parameters: TalkParameters, name: Name, value: TalkParameters[Name] | undefined): TalkParameters {
  return value === undefined ? without(parameters, name) : { ...parameters, [name]: value };
}

/** A copy that lacks a field. */
export function without<T extends object, Name extends keyof T>(fields: T, name: Name): Omit<T, Name> {
  const { [name]: _, ...rest } = fields;
  return rest;
}
