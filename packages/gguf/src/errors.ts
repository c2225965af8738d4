/** A GGUF file that is malformed or cannot be written. The message names the file, the field and what to do. */
export class GgufError extends Error {
  override name = 'GgufError';
  readonly file: string;
  /** A metadata key, `tensor NAME`, or a field of the header; null for the file as a whole. */
  readonly field: string | null;

  constructor(message: string, details: { file: string; field?: string | null; cause?: unknown }) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.file = details.file;
    this.field = details.field ?? null;
  }
}

/** 1030 → "1,030". */
export const count = (value: number | bigint): string => value.toLocaleString('en-US');
