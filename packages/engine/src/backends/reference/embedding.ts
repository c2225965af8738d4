/** Rows of a table by number, forward and backward. */
import { type Args, floats, integers, rowWidth } from './memory.ts';
import { dequantizeRow } from './quantized.ts';
import { at, integerAt } from './vectors.ts';

/** out (N, C) = table (V, C) at ids (N). */
export function embedding({ out, table, ids }: Args<'embedding'>): void {
  const C = rowWidth(table);
  const outValues = floats(out);
  const idValues = integers(ids);
  if (table.dtype !== 'f32') {
    for (let n = 0; n < idValues.length; n++) dequantizeRow(table, integerAt(idValues, n) * C, C, outValues, n * C);
    return;
  }
  const tableValues = floats(table);
  for (let n = 0; n < idValues.length; n++) {
    const row = integerAt(idValues, n) * C;
    outValues.set(tableValues.subarray(row, row + C), n * C);
  }
}

/** dTable (V, C) at ids (N) += dOut (N, C). An id that occurs twice receives both, in the order of n. */
export function embeddingBackward({ dTable, dOut, ids }: Args<'embeddingBackward'>): void {
  const C = rowWidth(dTable);
  const dTableValues = floats(dTable);
  const dOutValues = floats(dOut);
  const idValues = integers(ids);
  for (let n = 0; n < idValues.length; n++) {
    const row = integerAt(idValues, n) * C;
    for (let c = 0; c < C; c++) dTableValues[row + c] = at(dTableValues, row + c) + at(dOutValues, n * C + c);
  }
}
