/** Errors of the data package. Every message names the file (and line, where there is one), the value and the remedy. */

export class DataError extends Error {
  override name = 'DataError';
  /** The file the error is about, as it was given. */
  readonly path: string | undefined;
  /** Line in that file, from 1. */
  readonly line: number | undefined;

  constructor(message: string, details: { path?: string | undefined; line?: number | undefined; cause?: unknown } = {}) {
    const { path, line } = details;
    const where = path === undefined ? '' : line === undefined ? `${path}: ` : `${path}:${line}: `;
    super(where + message, details.cause === undefined ? undefined : { cause: details.cause });
    this.path = path;
    this.line = line;
  }
}
