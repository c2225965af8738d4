/** Recipes turn a data set's own fields into documents with templates: `'{title}\n\n{text}'`, `'{question}'`. */
import { DataError } from './errors.ts';
import type { Place } from './document.ts';

/**
 * Each `{name}` becomes that field of the object: text as it is, numbers and booleans as text, of a list its first entry.
 * `{{` and `}}` stand for braces. Throws DataError naming the file, the line and the fields that are there.
 */
export function fillTemplate(template: string, object: Readonly<Record<string, unknown>>, place: Place): string {
  return template.replace(/\{\{|\}\}|\{([^{}]*)\}/g, (match, name: string | undefined) => {
    if (name === undefined) return match.charAt(0);
    const value = object[name];
    const first: unknown = Array.isArray(value) ? value[0] : value;
    if (typeof first === 'string' || typeof first === 'number' || typeof first === 'boolean') return String(first);
    throw new DataError(
      `the template wants the field "${name}", which is ${describe(value)} here; the fields are: ${Object.keys(object).join(', ')}`,
      place,
    );
  });
}

function describe(value: unknown): string {
  if (value === undefined) return 'missing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list of something other than text';
  return value === null ? 'null' : `of type ${typeof value}`;
}
