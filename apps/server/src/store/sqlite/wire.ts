/** What the two sides of a SQLite thread say to each other. */

/** Values that SQLite binds and gives back here; blobs are not used. */
export type Value = string | number | bigint | null;

export interface WorkerStart {
  /** A file, or `:memory:`. */
  readonly path: string;
  /** How long a statement waits for another process's write, milliseconds. */
  readonly busyMs: number;
}

export interface Statement {
  readonly id: number;
  readonly sql: string;
  readonly parameters: readonly Value[];
}

export type Request = Statement | { readonly id: number; readonly close: true };

export type Answer =
  | { readonly id: number; readonly columns: readonly string[]; readonly rows: readonly (readonly Value[])[]; readonly changes: number }
  /** `errcode`: SQLite's extended result code, 0 where it is none of SQLite's errors. */
  | { readonly id: number; readonly error: { readonly message: string; readonly errcode: number } };
