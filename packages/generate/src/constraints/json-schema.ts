/**
 * JSON Schema (draft 2020-12) to a grammar of the texts that satisfy it. What cannot be enforced token by token is refused by
 * name, never passed over; what only describes (title, description, default, examples) is read past. Properties come in the
 * order in which the schema lists them.
 */
import { ANY, codePoints, complement, jsonCharacter } from './code-points.ts';
import { ConstraintError } from './errors.ts';
import { choice, type Expression, literal, nothing, optional, repeat, rule, sequence } from './grammar.ts';
import { bracketed, constant, jsonRules, jsonString, list, quoted, separated, space } from './json.ts';
import { anyInteger, anyNumber, integerWithin, numberWithin } from './numbers.ts';
import { patternText } from './regular-expression.ts';

export type JsonSchema = boolean | { readonly [keyword: string]: unknown };

const DESCRIPTIVE = new Set([
  '$schema', '$id', '$comment', '$defs', 'definitions', 'title', 'description', 'default', 'examples', 'deprecated', 'readOnly', 'writeOnly',
  'contentMediaType', 'contentEncoding',
]);
const STRING = ['minLength', 'maxLength', 'pattern', 'format'] as const;
const NUMBER = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'] as const;
const ARRAY = ['items', 'prefixItems', 'minItems', 'maxItems'] as const;
const OBJECT = ['properties', 'required', 'additionalProperties'] as const;
const KNOWN = new Set<string>([
  ...DESCRIPTIVE, ...STRING, ...NUMBER, ...ARRAY, ...OBJECT, 'type', 'enum', 'const', 'anyOf', 'oneOf', 'allOf', '$ref', 'nullable', 'strict',
]);
const TYPES = ['string', 'number', 'integer', 'boolean', 'null', 'array', 'object'] as const;
type Type = (typeof TYPES)[number];
const MOST_NESTED = 100;

const date = '\\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])';
const time = '([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,6})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)';
const octet = '(25[0-5]|2[0-4]\\d|1?\\d{1,2})';
/** Formats as patterns of the whole text (RFC 3339, 4122, 4291 without abbreviations; e-mail and host names in their common forms). */
const FORMATS: Readonly<Record<string, string>> = {
  date, time, 'date-time': `${date}T${time}`, duration: 'P(\\d+W|(\\d+Y)?(\\d+M)?(\\d+D)?(T(\\d+H)?(\\d+M)?(\\d+S)?)?)',
  email: "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,64}(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,32}){0,4}@[A-Za-z0-9][A-Za-z0-9-]{0,62}(\\.[A-Za-z0-9][A-Za-z0-9-]{0,62}){1,6}",
  hostname: '[A-Za-z0-9][A-Za-z0-9-]{0,62}(\\.[A-Za-z0-9][A-Za-z0-9-]{0,62}){0,6}',
  ipv4: `${octet}(\\.${octet}){3}`, ipv6: '[0-9a-fA-F]{1,4}(:[0-9a-fA-F]{1,4}){7}',
  uuid: '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}',
  uri: '[A-Za-z][A-Za-z0-9+.-]*:[!-~]+',
};

/** The grammar of a schema: its root and its rules, whose names begin with `prefix` where several schemas share a grammar. Throws ConstraintError naming the place in the schema (a JSON pointer). */
export function schemaGrammar(schema: JsonSchema, prefix = ''): { root: Expression; rules: ReadonlyMap<string, Expression> } {
  return new Compiler(schema, prefix).compile();
}

class Compiler {
  readonly #document: JsonSchema;
  readonly #prefix: string;
  readonly #rules = new Map<string, Expression>(jsonRules);
  readonly #begun = new Set<string>();
  #depth = 0;

  constructor(schema: JsonSchema, prefix: string) {
    this.#document = schema;
    this.#prefix = prefix;
  }

  compile(): { root: Expression; rules: ReadonlyMap<string, Expression> } {
    return { root: this.#schema(this.#document, '#'), rules: this.#rules };
  }

  #schema(value: unknown, at: string): Expression {
    if (this.#depth === MOST_NESTED) throw refuse(at, `schemas nest deeper than ${MOST_NESTED}, or refer to themselves in allOf`);
    this.#depth++;
    try {
      return this.#understand(value, at);
    } finally {
      this.#depth--;
    }
  }

  #understand(value: unknown, at: string): Expression {
    if (value === true) return rule('value');
    if (value === false) return choice();
    if (!isRecord(value)) throw refuse(at, `a schema is an object or a boolean, not ${JSON.stringify(value)}`);
    for (const keyword of Object.keys(value)) {
      if (!KNOWN.has(keyword)) throw refuse(at, `"${keyword}" cannot be enforced while text is generated: leave it out, and check the answer for it`);
    }
    if (value['$ref'] !== undefined) return this.#reference(value, at);
    if (value['const'] !== undefined) return constant(value['const']);
    if (value['enum'] !== undefined) return enumeration(value['enum'], at);
    if (value['allOf'] !== undefined) return this.#schema(this.#merge(value, at), at);
    for (const keyword of ['anyOf', 'oneOf'] as const) {
      const options = value[keyword];
      if (options === undefined) continue;
      if (!Array.isArray(options) || options.length === 0) throw refuse(at, `"${keyword}" has to be a list of schemas`);
      const { [keyword]: _, ...shared } = value;
      const rest = Object.fromEntries(Object.entries(shared).filter(([name]) => !DESCRIPTIVE.has(name)));
      return choice(...options.map((option: unknown, i) => {
        const place = `${at}/${keyword}/${i}`;
        return this.#schema(Object.keys(rest).length === 0 ? option : this.#combine([rest, option], place), place);
      }));
    }
    const types = typesOf(value, at);
    return choice(...types.map((type) => this.#typed(type, value, at)));
  }

  /** Local references become rules, so that a schema may contain itself. */
  #reference(value: Readonly<Record<string, unknown>>, at: string): Expression {
    const target = value['$ref'];
    const others = Object.keys(value).filter((keyword) => keyword !== '$ref' && !DESCRIPTIVE.has(keyword));
    if (others.length > 0) throw refuse(at, `"$ref" stands beside "${others.join('", "')}": put them together with allOf in the referred schema`);
    if (typeof target !== 'string' || !target.startsWith('#')) throw refuse(at, `"$ref" is ${JSON.stringify(target)}: references within the schema (#/$defs/…) are known`);
    const name = `${this.#prefix}ref ${target}`;
    if (!this.#begun.has(name)) {
      this.#begun.add(name);
      this.#rules.set(name, this.#schema(this.#resolve(target, at), target));
    }
    return rule(name);
  }

  #resolve(pointer: string, at: string): unknown {
    let found: unknown = this.#document;
    for (const part of pointer.split('/').slice(1)) {
      const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
      found = isRecord(found) || Array.isArray(found) ? (found as Record<string, unknown>)[key] : undefined;
    }
    if (found === undefined) throw refuse(at, `"$ref" is ${JSON.stringify(pointer)}, and there is nothing there`);
    return found;
  }

  #merge(value: Readonly<Record<string, unknown>>, at: string): JsonSchema {
    const { allOf, ...rest } = value;
    if (!Array.isArray(allOf) || allOf.length === 0) throw refuse(at, '"allOf" has to be a list of schemas');
    return this.#combine([rest, ...(allOf as readonly unknown[])], at);
  }

  /** One schema that says what all say, where their keywords do not meet. */
  #combine(schemas: readonly unknown[], at: string): JsonSchema {
    const merged: Record<string, unknown> = {};
    const closed: ReadonlySet<string>[] = [];
    for (const schema of schemas) {
      if (schema === true) continue;
      if (!isRecord(schema)) throw refuse(at, `a schema is an object or a boolean, not ${JSON.stringify(schema)}`);
      const resolved = typeof schema['$ref'] === 'string' ? this.#resolve(schema['$ref'], at) : schema;
      if (!isRecord(resolved)) throw refuse(at, 'allOf refers to a schema that is no object');
      if ((resolved['additionalProperties'] ?? true) !== true) closed.push(new Set(Object.keys(isRecord(resolved['properties']) ? resolved['properties'] : {})));
      for (const [keyword, own] of Object.entries(resolved)) {
        const before = merged[keyword];
        if (before === undefined || DESCRIPTIVE.has(keyword) || JSON.stringify(before) === JSON.stringify(own)) merged[keyword] = own;
        else if (keyword === 'properties' && isRecord(before) && isRecord(own)) {
          const both = Object.keys(own).find((name) => before[name] !== undefined);
          if (both !== undefined) throw refuse(at, `two of the schemas to be combined describe the property "${both}": describe it once`);
          merged[keyword] = { ...before, ...own };
        } else if (keyword === 'required' && Array.isArray(before) && Array.isArray(own)) merged[keyword] = [...new Set([...(before as unknown[]), ...(own as unknown[])])];
        else throw refuse(at, `the schemas to be combined say different things about "${keyword}": say it once`);
      }
    }
    // `additionalProperties` means all that its own schema does not list, whatever stands beside it.
    const names = Object.keys(isRecord(merged['properties']) ? merged['properties'] : {});
    const outside = names.find((name) => closed.some((own) => !own.has(name)));
    if (outside !== undefined) throw refuse(at, `one of the schemas to be combined allows no other properties, and another has "${outside}": leave additionalProperties out, or put the properties in one schema`);
    return merged;
  }

  #typed(type: Type, schema: Readonly<Record<string, unknown>>, at: string): Expression {
    switch (type) {
      case 'null': return literal('null');
      case 'boolean': return choice(literal('true'), literal('false'));
      case 'integer': return hasBounds(schema) ? integerWithin(bounds(schema, at)) : anyInteger;
      case 'number': return hasBounds(schema) ? numberWithin(bounds(schema, at)) : anyNumber;
      case 'string': return stringOf(schema, at);
      case 'array': return this.#array(schema, at);
      case 'object': return this.#object(schema, at);
      default: return type satisfies never;
    }
  }

  #array(schema: Readonly<Record<string, unknown>>, at: string): Expression {
    const least = count(schema, 'minItems', at) ?? 0;
    const most = count(schema, 'maxItems', at) ?? Infinity;
    if (least > most) throw refuse(at, `minItems ${least} is over maxItems ${most}`);
    const rest = schema['items'] === undefined ? rule('value') : this.#named(schema['items'], `${at}/items`);
    const { prefixItems } = schema;
    if (prefixItems === undefined) return schema['items'] === false ? list(rest, 0, 0) : list(rest, least, most);
    if (!Array.isArray(prefixItems) || prefixItems.length === 0) throw refuse(at, '"prefixItems" has to be a list of schemas');
    const first = prefixItems.map((item: unknown, i) => this.#schema(item, `${at}/prefixItems/${i}`));
    const extra = schema['items'] === false ? 0 : most - first.length;
    const tail = (from: number): Expression => {
      if (from === first.length) return extra <= 0 ? nothing : repeat(sequence(separated(','), rest), Math.max(0, least - from), extra);
      const more = sequence(from === 0 ? nothing : separated(','), first[from] ?? nothing, tail(from + 1));
      return from >= least ? optional(more) : more;
    };
    if (least === 0) return choice(sequence(literal('['), space, literal(']')), bracketed('[', sequence(first[0] ?? nothing, tail(1)), ']'));
    return bracketed('[', tail(0), ']');
  }

  #object(schema: Readonly<Record<string, unknown>>, at: string): Expression {
    const properties = schema['properties'] ?? {};
    if (!isRecord(properties)) throw refuse(at, '"properties" has to be an object of schemas');
    const required = schema['required'] ?? [];
    if (!Array.isArray(required) || !required.every((name) => typeof name === 'string')) throw refuse(at, '"required" has to be a list of names');
    const unknown = required.find((name) => properties[name] === undefined);
    const additional = schema['additionalProperties'];
    if (unknown !== undefined && additional === false) throw refuse(at, `"${unknown}" is required, is not among the properties, and no others are allowed`);
    const names = [...Object.keys(properties), ...required.filter((name) => properties[name] === undefined)];
    const members = names.map((name) => ({
      isRequired: required.includes(name),
      text: sequence(constant(name), separated(':'), properties[name] === undefined ? rule('value') : this.#named(properties[name], `${at}/properties/${name}`)),
    }));
    const other = additional === false ? null
      : sequence(otherKey(names), separated(':'), additional === undefined || additional === true ? rule('value') : this.#named(additional, `${at}/additionalProperties`));
    // Without any property listed, an object is open unless closed; with some, OpenAI's strict schemas close it themselves.
    return sequence(literal('{'), space, this.#members(members, other, at), literal('}'));
  }

  /** Members in order, those that are not required left out or not. A rule for each place, so that n optional members take n rules, not 2ⁿ paths. */
  #members(members: readonly { isRequired: boolean; text: Expression }[], other: Expression | null, at: string): Expression {
    const name = (index: number, first: boolean): string => `${this.#prefix}members ${at} ${index} ${first ? 'first' : 'next'}`;
    for (const first of [true, false]) {
      const comma = first ? nothing : separated(',');
      for (const [index, { isRequired, text }] of members.entries()) {
        const taken = sequence(comma, text, rule(name(index + 1, false)));
        this.#rules.set(name(index, first), isRequired ? taken : choice(taken, rule(name(index + 1, first))));
      }
      const more = other === null ? nothing : repeat(sequence(separated(','), other), 0);
      const end = first
        ? choice(nothing, ...(other === null ? [] : [sequence(other, more, space)]))
        : sequence(more, space);
      this.#rules.set(name(members.length, first), end);
    }
    return rule(name(0, true));
  }

  /** A part as a rule of its own, so that it is laid out once however often it is repeated. */
  #named(value: unknown, at: string): Expression {
    const name = `${this.#prefix}part ${at}`;
    if (!this.#begun.has(name)) {
      this.#begun.add(name);
      this.#rules.set(name, this.#schema(value, at));
    }
    return rule(name);
  }
}

function typesOf(schema: Readonly<Record<string, unknown>>, at: string): readonly Type[] {
  const given = schema['type'];
  const list: readonly unknown[] = given === undefined ? impliedTypes(schema) : Array.isArray(given) ? (given as unknown[]) : [given];
  for (const type of list) if (!TYPES.includes(type as Type)) throw refuse(at, `the type ${JSON.stringify(type)} is not known: there are ${TYPES.join(', ')}`);
  const types = list as readonly Type[];
  // A whole number is a number already.
  const distinct = types.includes('number') ? types.filter((type) => type !== 'integer') : types;
  return schema['nullable'] === true && !distinct.includes('null') ? [...distinct, 'null'] : distinct;
}

/** Keywords say what the type is where nobody names it. */
function impliedTypes(schema: Readonly<Record<string, unknown>>): readonly Type[] {
  const has = (keywords: readonly string[]): boolean => keywords.some((keyword) => schema[keyword] !== undefined);
  if (has(OBJECT)) return ['object'];
  if (has(ARRAY)) return ['array'];
  if (has(STRING)) return ['string'];
  if (has(NUMBER)) return ['number'];
  return TYPES;
}

function enumeration(values: unknown, at: string): Expression {
  if (!Array.isArray(values) || values.length === 0) throw refuse(at, '"enum" has to be a list of values');
  return choice(...values.map((value) => constant(value)));
}

function stringOf(schema: Readonly<Record<string, unknown>>, at: string): Expression {
  const least = count(schema, 'minLength', at) ?? 0;
  const most = count(schema, 'maxLength', at) ?? Infinity;
  if (least > most) throw refuse(at, `minLength ${least} is over maxLength ${most}`);
  const { pattern, format } = schema;
  if (pattern === undefined && format === undefined) return jsonString(least, most);
  if (pattern !== undefined && format !== undefined) throw refuse(at, 'pattern and format stand together: say both in one pattern');
  if (least > 0 || most < Infinity) throw refuse(at, `${pattern === undefined ? 'format' : 'pattern'} stands beside lengths: say them in a pattern, as {${least},${most === Infinity ? '' : most}}`);
  if (pattern !== undefined) {
    if (typeof pattern !== 'string') throw refuse(at, '"pattern" has to be a text');
    return quoted(patternText(pattern, jsonCharacter, 'within'));
  }
  const known = typeof format === 'string' && Object.hasOwn(FORMATS, format) ? FORMATS[format] : undefined;
  if (known === undefined) throw refuse(at, `the format ${JSON.stringify(format)} is not known: there are ${Object.keys(FORMATS).join(', ')}`);
  return quoted(patternText(known, jsonCharacter, 'whole'));
}

/** A key that is none of the names, written without escapes: all strings but those. */
function otherKey(names: readonly string[]): Expression {
  const plain = complement([[0, 0x1f], [0x22, 0x22], [0x5c, 0x5c]]);
  const differs = (rest: readonly string[]): Expression => {
    // Texts that are none of `rest`: ending here, unless '' is one of them, or going on with a character.
    const byFirst = new Map<number, string[]>();
    for (const text of rest) {
      const first = text.codePointAt(0);
      if (first === undefined) continue;
      byFirst.set(first, [...(byFirst.get(first) ?? []), text.slice(String.fromCodePoint(first).length)]);
    }
    const others = complement(codePoints([...[...byFirst.keys()].map((first) => [first, first] as const), [0, 0x1f], [0x22, 0x22], [0x5c, 0x5c]]));
    return choice(
      ...(rest.includes('') ? [] : [nothing]),
      sequence(jsonCharacter(others), repeat(jsonCharacter(plain), 0)),
      ...[...byFirst].map(([first, tails]) => sequence(jsonCharacter([[first, first]]), differs(tails))),
    );
  };
  const writable = names.filter((name) => JSON.stringify(name) === `"${name}"`);
  return writable.length === 0 ? quoted(repeat(jsonCharacter(names.length === 0 ? ANY : plain), 0)) : quoted(differs(writable));
}

const hasBounds = (schema: Readonly<Record<string, unknown>>): boolean => NUMBER.some((keyword) => schema[keyword] !== undefined);

function bounds(schema: Readonly<Record<string, unknown>>, at: string): Partial<Record<(typeof NUMBER)[number], number>> {
  const entries = NUMBER.map((keyword) => [keyword, schema[keyword]] as const).filter(([, value]) => value !== undefined);
  for (const [keyword, value] of entries) if (typeof value !== 'number' || !Number.isFinite(value)) throw refuse(at, `"${keyword}" has to be a number`);
  return Object.fromEntries(entries) as Partial<Record<(typeof NUMBER)[number], number>>;
}

function count(schema: Readonly<Record<string, unknown>>, keyword: string, at: string): number | undefined {
  const value = schema[keyword];
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw refuse(at, `"${keyword}" has to be a whole number from 0, not ${JSON.stringify(value)}`);
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);

const refuse = (at: string, why: string): ConstraintError => new ConstraintError(`the JSON schema at ${at}: ${why}`);
