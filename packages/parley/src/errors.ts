/** Errors of the command line. */

/** Asked wrongly (exit status 2): the message says what was asked and what would be right. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/** The message of an error and of what caused it, one a line, for a person. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\n  because: ${describeError(error.cause)}`;
  return `${error.message}${cause}`;
}
