/** Recipes turn a data set's own fields into documents with templates: `'{title}\n\n{text}'`, `'{question}'`, `'{text|lead|cut 300}'`. */
import { DataError } from './errors.ts';
import type { Place } from './document.ts';
import { cutPoint } from './cut.ts';

/** What a template may do with a field: `{name|filter|filter}`. */
const FILTERS: Readonly<Record<string, (text: string, size: number) => string>> = {
  /** The first paragraph or line that says something. */
  lead: (text) => text.trimStart().split('\n', 1)[0]?.trim() ?? '',
  /** What follows the lead; nothing where that is all. */
  body: (text) => text.trimStart().split('\n').slice(1).join('\n').trim(),
  /** `cut 300`: at most so many characters, ending between paragraphs, sentences or words. */
  cut: (text, size) => text.slice(0, cutPoint(text, size)).trimEnd(),
};

/**
 * Each `{name}` becomes that field of the object: text as it is, numbers and booleans as text, of a list its first entry;
 * then the filters after it are applied (`lead`, `body`, `cut N`). `{{` and `}}` stand for braces.
 * Throws DataError naming the file, the line and the fields that are there.
 */
export function fillTemplate(template: string, object: Readonly<Record<string, unknown>>, place: Place): string {
  return template.replace(/\{\{|\}\}|\{([^{}]*)\}/g, (match, expression: string | undefined) => {
    if (expression === undefined) return match.charAt(0);
    const [name = '', ...filters] = expression.split('|');
    const value = object[name];
    const first: unknown = Array.isArray(value) ? value[0] : value;
    if (typeof first === 'string' || typeof first === 'number' || typeof first === 'boolean') {
      return filters.reduce((text, filter) => applyFilter(text, filter, place), String(first));
    }
    throw new DataError(
      `the template wants the field "${name}", which is ${describe(value)} here; the fields are: ${Object.keys(object).join(', ')}`,
      place,
    );
  });
}

function applyFilter(text: string, expression: string, place: Place): string {
  const [, name = '', size] = /^\s*([a-z]*)(?:\s+(\d+))?\s*$/.exec(expression) ?? [];
  const filter = Object.hasOwn(FILTERS, name) ? FILTERS[name] : undefined;
  if (filter === undefined || (name === 'cut') !== (size !== undefined)) {
    throw new DataError(`the template has the filter "${expression.trim()}": there are lead, body and cut N`, place);
  }
  return filter(text, Number(size));
}

function describe(value: unknown): string {
  if (value === undefined) return 'missing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list of something other than text';
  return value === null ? 'null' : `of type ${typeof value}`;
}
