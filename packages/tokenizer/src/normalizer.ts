/** Hugging Face's `normalizer`, as far as byte-level models use one: none, or Unicode's normal forms. */
import { Fields } from './fields.ts';

export type Normalizer = (text: string) => string;

const FORMS: readonly string[] = ['NFC', 'NFD', 'NFKC', 'NFKD'];

/**
 * Reads a `normalizer`; undefined is none.
 * @throws TokenizerFormatError for any other type: its text would be tokenized differently.
 */
export function parseNormalizer(json: unknown, path = 'normalizer'): Normalizer | undefined {
  if (json === null || json === undefined) return undefined;
  const fields = new Fields(json, path);
  const type = fields.string('type');
  if (type === 'Sequence') {
    const steps = fields.array('normalizers').map((child, i) => parseNormalizer(child, `${path}.normalizers[${i}]`));
    fields.finish();
    if (steps.length === 0) return undefined;
    return (text) => steps.reduce((result, step) => step?.(result) ?? result, text);
  }
  fields.finish();
  if (!FORMS.includes(type)) fields.refuse('type', `Parley knows ${FORMS.join(', ')} and Sequence`);
  return (text) => text.normalize(type);
}
