/** Bodies of requests against their schemas: what is wrong with the first field that is, as an ApiError that names it. */
import type * as z from 'zod';
import { type ApiError, invalidRequest } from './errors.ts';

/** Throws ApiError (400). */
export function parseRequest<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw invalidRequest('the body has to be a JSON object');
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  throw describe(deepest(result.error.issues), body);
}

/** Of a union's branches, the issue that got furthest is about what the author meant. */
function deepest(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue | undefined {
  const [issue] = issues;
  if (issue?.code !== 'invalid_union') return issue;
  const inner = issue.errors.map((branch) => deepest(branch)).filter((each) => each !== undefined).filter((each) => each.path.length > 0);
  const [best] = inner.toSorted((a, b) => b.path.length - a.path.length);
  return best === undefined ? issue : { ...best, path: [...issue.path, ...best.path] };
}

/** What zod calls its types, in the words of errors here. */
const TYPES: Readonly<Record<string, string>> = { array: 'a list', object: 'an object', record: 'an object', string: 'a text', number: 'a number', int: 'a whole number', boolean: 'true or false', null: 'null' };

/** What the field has to be: the schema's own words where it has some. */
function problemOf(issue: z.core.$ZodIssue): string {
  if (!/^(?:Too (?:big|small)|Invalid (?:input|option)): /.test(issue.message)) return issue.message;
  const unit = (count: number | bigint, origin: string): string => (origin === 'array' ? `${count} ${count === 1 ? 'entry' : 'entries'}` : origin === 'string' ? `${count} ${count === 1 ? 'character' : 'characters'}` : String(count));
  if (issue.code === 'too_big') return `has to be ${issue.inclusive === false ? 'below' : 'at most'} ${unit(issue.maximum, issue.origin)}`;
  if (issue.code === 'too_small') return `has to be ${issue.inclusive === false ? 'above' : 'at least'} ${unit(issue.minimum, issue.origin)}`;
  if (issue.code === 'invalid_type') return `has to be ${TYPES[issue.expected] ?? issue.expected}`;
  if (issue.code === 'invalid_value') return `has to be ${issue.values.map(String).join(', ').replace(/, ([^,]*)$/, ' or $1')}`;
  return issue.message;
}

function describe(issue: z.core.$ZodIssue | undefined, body: object): ApiError {
  if (issue === undefined) return invalidRequest('the body is not what this endpoint takes');
  const where = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') {
    const key = [where, issue.keys[0] ?? ''].filter((part) => part !== '').join('.');
    return invalidRequest(`Unknown parameter: '${key}'. It is refused rather than ignored: leave it out.`, key, 'unknown_parameter');
  }
  let value: unknown = body;
  for (const part of issue.path) value = (value as Record<PropertyKey, unknown> | undefined)?.[part];
  if (value === undefined) return invalidRequest(`Missing required parameter: '${where}'.`, where, 'missing_required_parameter');
  const shown = JSON.stringify(value) ?? typeof value;
  return invalidRequest(`'${where}' is ${shown.length > 80 ? `${shown.slice(0, 77)}…` : shown}: ${problemOf(issue)}`, where, 'invalid_value');
}
