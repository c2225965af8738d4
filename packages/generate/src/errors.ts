/** Errors of text generation. Every message says what happened, with what value, and what to do about it. */

export class GenerateError extends Error {
  override name = 'GenerateError';
}

/** An option with a value that it cannot have, that contradicts another, or whose name is unknown. */
export class OptionError extends GenerateError {
  override name = 'OptionError';
  /** The option by the name the caller used. */
  readonly option: string;
  readonly value: unknown;

  constructor(message: string, details: { option: string; value?: unknown }) {
    super(message);
    this.option = details.option;
    this.value = details.value;
  }
}

/** A prompt, or a prompt and what was asked for after it, that the model's context cannot hold. Sizes are in tokens. */
export class ContextOverflowError extends GenerateError {
  override name = 'ContextOverflowError';
  readonly promptTokens: number;
  /** New tokens asked for; null: as many as fit. */
  readonly newTokens: number | null;
  readonly contextLength: number;

  constructor(message: string, sizes: { promptTokens: number; newTokens: number | null; contextLength: number }) {
    super(message);
    this.promptTokens = sizes.promptTokens;
    this.newTokens = sizes.newTokens;
    this.contextLength = sizes.contextLength;
  }
}

/** The model's logits leave nothing to choose from: NaN, or every token forbidden. */
export class NoTokenError extends GenerateError {
  override name = 'NoTokenError';
}

/** More requests wait than may: the caller is to come back later. */
export class QueueFullError extends GenerateError {
  override name = 'QueueFullError';
  readonly waiting: number;
  readonly limit: number;
  /** When a place is likely to be free, by how fast requests have ended lately. */
  readonly retryAfterSeconds: number;

  constructor(message: string, details: { waiting: number; limit: number; retryAfterSeconds: number }) {
    super(message);
    this.waiting = details.waiting;
    this.limit = details.limit;
    this.retryAfterSeconds = details.retryAfterSeconds;
  }
}

/** The thread or process that was generating is gone, or was closed with requests still open. */
export class GeneratorClosedError extends GenerateError {
  override name = 'GeneratorClosedError';
}

/** 1030 → "1,030". */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}
