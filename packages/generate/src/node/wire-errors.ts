/** Errors across threads: class, message, fields and cause survive. */
import * as engine from '@parley/engine';
import * as model from '@parley/model';
import * as tokenizer from '@parley/tokenizer';
import * as constraints from '../constraints/errors.ts';
import * as generate from '../errors.ts';

export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** The typed fields, those of them that can be sent. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly cause: WireError | undefined;
}

type ErrorClass = { readonly name: string; readonly prototype: Error };

const isErrorClass = (value: unknown): value is ErrorClass =>
  typeof value === 'function' && (value as { prototype?: unknown }).prototype instanceof Error;

/** The classes an error may have had over there. */
const CLASSES: ReadonlyMap<string, ErrorClass> = new Map(
  [engine, model, tokenizer, generate, constraints]
    .flatMap((module) => Object.values(module as Record<string, unknown>))
    .filter(isErrorClass)
    .map((each) => [each.name, each]),
);

function sendable(value: unknown): boolean {
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
}

export function toWire(error: unknown): WireError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error), stack: undefined, fields: {}, cause: undefined };
  const { name, message, stack, cause, ...fields } = error;
  return {
    name, message, stack,
    fields: Object.fromEntries(Object.entries(fields).filter(([, value]) => sendable(value))),
    cause: cause === undefined ? undefined : toWire(cause),
  };
}

export function fromWire({ name, message, stack, fields, cause }: WireError): Error {
  const error = new Error(message, cause === undefined ? undefined : { cause: fromWire(cause) });
  const known = CLASSES.get(name);
  // Constructors differ; what instanceof and the readers of the fields see is the same.
  if (known) Object.setPrototypeOf(error, known.prototype);
  Object.assign(error, fields, { name });
  if (stack !== undefined) Object.defineProperty(error, 'stack', { value: stack, configurable: true, writable: true });
  return error;
}
