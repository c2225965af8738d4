/** Errors of the engine. Every message says what happened, with what value, and what to do about it. */

export class EngineError extends Error {
  override name = 'EngineError';
}

/** Operands whose shapes or dtypes do not fit the operation. */
export class ShapeError extends EngineError {
  override name = 'ShapeError';
}

/** More memory was asked for than the backend can hold. Sizes are in bytes. */
export class MemoryLimitError extends EngineError {
  override name = 'MemoryLimitError';
  readonly requestedBytes: number;
  readonly usedBytes: number;
  readonly limitBytes: number;

  constructor(what: string, sizes: { requestedBytes: number; usedBytes: number; limitBytes: number }, remedy: string) {
    const { requestedBytes, usedBytes, limitBytes } = sizes;
    super(
      `${what} needs ${formatBytes(requestedBytes)} with ${formatBytes(usedBytes)} in use; ` +
        `${formatBytes(limitBytes)} is the limit: ${remedy}`,
    );
    this.requestedBytes = requestedBytes;
    this.usedBytes = usedBytes;
    this.limitBytes = limitBytes;
  }
}

/** A tensor used after its scope, arena step or owner has ended. */
export class LifetimeError extends EngineError {
  override name = 'LifetimeError';
}

/** 1536 → "1.5 KiB". */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
