/** What a flag's text may be, as commander's argument parsers. Ranges that belong to an option are checked where it means something. */
import { InvalidArgumentError } from 'commander';

/** Of the wasm backend; here too, so that asking for more is told before anything is loaded. */
const MOST_THREADS = 64;

function numberThat(holds: (value: number) => boolean, described: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value) || !holds(value)) throw new InvalidArgumentError(`It takes ${described}.`);
    return value;
  };
}

const isWhole = Number.isSafeInteger;

export const number = numberThat(() => true, 'a number');
export const positive = numberThat((value) => value > 0, 'a number above 0');
export const fraction = numberThat((value) => value >= 0 && value < 1, 'a share, from 0 to below 1');
export const similarity = numberThat((value) => value >= 0.3 && value <= 1, 'a similarity, from 0.3 to 1');
export const whole = numberThat(isWhole, 'a whole number');
export const wholeFromZero = numberThat((value) => isWhole(value) && value >= 0, 'a whole number from 0');
export const wholeFromOne = numberThat((value) => isWhole(value) && value >= 1, 'a whole number from 1');
export const threads = numberThat((value) => isWhole(value) && value >= 1 && value <= MOST_THREADS, `a whole number from 1 to ${MOST_THREADS}`);
