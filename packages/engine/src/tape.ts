/**
 * Reverse-mode differentiation: the forward pass writes down, for each operation, how to push its output's gradient to its
 * inputs; the backward pass reads the notes from the last to the first.
 */
import { EngineError } from './errors.ts';

export class Tape {
  #records: (() => void)[] = [];
  #done = false;

  /** Called by an operation: `backward` adds to the gradients of the operation's inputs. */
  record(backward: () => void): void {
    if (this.#done) throw new EngineError('this tape has already run backward: make a new Tape for each forward pass');
    this.#records.push(backward);
  }

  /** Adds the gradient of every recorded loss to the parameters' `grad`. Once per tape. */
  backward(): void {
    if (this.#done) throw new EngineError('this tape has already run backward: make a new Tape for each forward pass');
    this.#done = true;
    for (const backward of this.#records.reverse()) backward();
    this.#records = [];
  }
}
