/** Accuracy, macro-averaged F1 and the confusion matrix. Labels are numbers 0…labels−1; −1 is an answer that names none. */

export const NO_LABEL = -1;

export interface Labelled {
  readonly gold: Int32Array;
  /** NO_LABEL where the answer names no label: never right. */
  readonly predicted: Int32Array;
  readonly labels: number;
}

/** Rows are the true labels, columns what was said; the last column is no label at all. (labels, labels + 1) */
export function confusionMatrix({ gold, predicted, labels }: Labelled): number[][] {
  const matrix = Array.from({ length: labels }, () => Array.from({ length: labels + 1 }, () => 0));
  for (const [i, truth] of gold.entries()) {
    const said = predicted[i] ?? NO_LABEL;
    const row = matrix[truth];
    const column = said === NO_LABEL ? labels : said;
    if (row !== undefined) row[column] = (row[column] ?? 0) + 1;
  }
  return matrix;
}

const everything = (length: number): Int32Array => Int32Array.from({ length }, (_, i) => i);

/** The share that is right, 0 to 1, of the items `indices` names (default: all). */
export function accuracy({ gold, predicted }: Labelled, indices: Int32Array = everything(gold.length)): number {
  let right = 0;
  for (const i of indices) if (gold[i] === predicted[i]) right++;
  return indices.length === 0 ? Number.NaN : right / indices.length;
}

/** F1 of each label, 0 to 1; NaN for labels that neither occur nor are said. */
export function labelF1({ gold, predicted, labels }: Labelled, indices: Int32Array = everything(gold.length)): number[] {
  const right = new Float64Array(labels);
  const occurs = new Float64Array(labels);
  const said = new Float64Array(labels);
  for (const i of indices) {
    const [truth = NO_LABEL, answer = NO_LABEL] = [gold[i], predicted[i]];
    occurs[truth] = (occurs[truth] ?? 0) + 1;
    if (answer !== NO_LABEL) said[answer] = (said[answer] ?? 0) + 1;
    if (truth === answer) right[truth] = (right[truth] ?? 0) + 1;
  }
  return Array.from(right, (count, label) => (2 * count) / ((occurs[label] ?? 0) + (said[label] ?? 0)));
}

/** The mean of the labels' F1, over labels that occur or are said (scikit-learn's average="macro"). */
export function macroF1(labelled: Labelled, indices?: Int32Array): number {
  const scores = labelF1(labelled, indices).filter((score) => !Number.isNaN(score));
  return scores.length === 0 ? Number.NaN : scores.reduce((sum, score) => sum + score, 0) / scores.length;
}
