/** A place that one at a time may have; the others wait in line. */
export class Lane {
  readonly #waiting: (() => void)[] = [];
  #taken = false;

  /** Those in line. */
  get waiting(): number {
    return this.#waiting.length;
  }

  get taken(): boolean {
    return this.#taken;
  }

  /** Resolves with what gives the place back. Throws the signal's reason when it is aborted first. */
  async take(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#taken) {
      await new Promise<void>((resolve, reject) => {
        const enter = (): void => {
          signal.removeEventListener('abort', leave);
          resolve();
        };
        const leave = (): void => {
          this.#waiting.splice(this.#waiting.indexOf(enter), 1);
          reject(signal.reason as Error);
        };
        signal.addEventListener('abort', leave, { once: true });
        this.#waiting.push(enter);
      });
    }
    this.#taken = true;
    return () => {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#taken = false;
    };
  }
}
