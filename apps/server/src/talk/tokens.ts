/** What is kept about each token of an answer. */
import { LEAST_LOGPROB } from '../wire.ts';

/** Runners-up told with each token. */
export const RUNNERS_UP = 5;

/** A log-probability in four digits: a ten-thousandth of a probability is more than anybody sees. */
export const rounded = (value: number): number => Math.max(LEAST_LOGPROB, Math.round(value * 1e4) / 1e4);
