/** Errors of the command line. */

/** Asked wrongly (exit status 2): the message says what was asked and what would be right. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/** The message of an error and of what caused it, one a line, for a person. A cause that the message has said already is left out. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause === undefined) return error.message;
  const cause = describeError(error.cause);
  return error.message.includes(cause) ? error.message : `${error.message}\n  because: ${cause}`;
}
