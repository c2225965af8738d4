/** Errors of the model package. Every message says what happened, with what value, and what to do about it. */

export class ModelError extends Error {
  override name = 'ModelError';
}

/** A model configuration that is malformed or asks for something Parley does not compute. */
export class ConfigError extends ModelError {
  override name = 'ConfigError';
  /** The field, by the name it has where it was read: Hugging Face's in a `config.json`, ours in a TransformerConfig. */
  readonly field: string;
  readonly value: unknown;

  constructor(message: string, details: { field: string; value: unknown; cause?: unknown }) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.field = details.field;
    this.value = details.value;
  }
}

/** A weight file that is malformed, incomplete or does not fit its configuration. */
export class CheckpointError extends ModelError {
  override name = 'CheckpointError';
  readonly file: string;
  readonly tensor: string | null;

  constructor(message: string, details: { file: string; tensor?: string; cause?: unknown }) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.file = details.file;
    this.tensor = details.tensor ?? null;
  }
}

/** A batch that does not fit the model or its cache. */
export class BatchError extends ModelError {
  override name = 'BatchError';
}

/** An adapter that is malformed, or does not fit the model it is laid on. */
export class AdapterError extends ModelError {
  override name = 'AdapterError';
}

/** A name under which no model folder was found. */
export class ModelNotFoundError extends ModelError {
  override name = 'ModelNotFoundError';
  readonly model: string;
  /** Names that would have been found. */
  readonly available: readonly string[];

  constructor(message: string, details: { model: string; available: readonly string[] }) {
    super(message);
    this.model = details.model;
    this.available = details.available;
  }
}

/** 1030 → "1,030". */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}
