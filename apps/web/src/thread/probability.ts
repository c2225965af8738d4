/** Probabilities as people read them. */

export const probabilityOf = (logprob: number): number => Math.exp(logprob);

/** 100 %, 93 %, 0.4 %, <0.1 %. */
export function percent(probability: number): string {
  const value = probability * 100;
  if (value > 0 && value < 0.1) return '<0.1%';
  return `${value >= 9.95 || value === 0 ? Math.round(value) : value.toFixed(1)}%`;
}

/** From 5, what the model was sure of, to 0, a surprise: the classes of colour. */
export function sureness(logprob: number | null): 0 | 1 | 2 | 3 | 4 | 5 {
  if (logprob === null) return 5;
  const probability = probabilityOf(logprob);
  if (probability >= 0.9) return 5;
  if (probability >= 0.6) return 4;
  if (probability >= 0.3) return 3;
  if (probability >= 0.1) return 2;
  return probability >= 0.02 ? 1 : 0;
}

/** A token's text with what cannot be seen made visible. */
export function visible(text: string): string {
  if (text === '') return '▫';
  return text.replace(/\n/g, '↵').replace(/\t/g, '⇥').replace(/^ +| +$/g, (spaces) => '\u00b7'.repeat(spaces.length)).replace(/\r/g, '');
}
