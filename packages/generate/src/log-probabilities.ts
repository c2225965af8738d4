/** Log-probabilities for the caller: of the model's own distribution, before penalties, temperature and cuts. */
import { at, largest, logSumExp } from './select.ts';

export interface TokenLogProbability {
  readonly token: number;
  readonly logProbability: number;
}

export interface LogProbabilities {
  /** Of the token that was chosen. */
  readonly logProbability: number;
  /** The likeliest tokens, likeliest first; as many as were asked for. */
  readonly top: readonly TokenLogProbability[];
}

/** From one row of logits (V), taken before anything changes it: a report on whichever token is then chosen. */
export function reportOn(logits: Float32Array, top: number): (token: number) => LogProbabilities {
  const normalizer = logSumExp(logits);
  const likeliest = Array.from(largest(logits, top), (token) => ({ token, logProbability: at(logits, token) - normalizer }));
  // The row is about to be overwritten by the processors, and the chosen token is not known yet.
  const own = logits.slice();
  return (token) => ({ logProbability: at(own, token) - normalizer, top: likeliest });
}
