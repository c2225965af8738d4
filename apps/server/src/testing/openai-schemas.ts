/**
 * Takes from OpenAI's specification (MIT licence; OpenAPI 3.1) the schemas of texts that this server's answers are held to in tests, as
 * one JSON schema: descriptions and examples away, `nullable` written as JSON schema has it, and of unions the branches that are not
 * about text or functions away (images, audio, computers, hosted tools).
 *
 *   node apps/server/src/testing/openai-schemas.ts SPECIFICATION.json     # writes apps/server/src/testing/openai-schemas.json
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';

export const EXTRACT = resolve(import.meta.dirname, 'openai-schemas.json');

/** Answers, and what the tests of requests need. */
const ROOTS = [
  'CreateChatCompletionResponse', 'CreateChatCompletionStreamResponse', 'CreateCompletionResponse', 'CreateEmbeddingResponse', 'ListModelsResponse', 'Model',
  'DeleteModelResponse', 'ErrorResponse', 'Response', 'ResponseStreamEvent', 'ResponseItemList',
];
const NOT_TEXT = /audio|image|computer|filesearch|websearch|codeinterpreter|mcp|shell|applypatch|hosted|skill|container|refusal_?audio|video|realtime|toolsearch|compact/i;
/** Not what is checked: words, and hints to generators of code. */
const WORDS = new Set(['description', 'title', 'example', 'examples', 'deprecated', 'externalDocs', 'discriminator', 'default', 'format']);

type Schema = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Schema => typeof value === 'object' && value !== null && !Array.isArray(value);
const nameOf = (reference: string): string => reference.slice(reference.lastIndexOf('/') + 1);
const isRead = (branch: unknown): boolean => !(isObject(branch) && typeof branch['$ref'] === 'string' && NOT_TEXT.test(nameOf(branch['$ref'])));

/** The extract, as the committed file has it. */
export function extract(specification: { readonly info: { readonly version: string }; readonly components: { readonly schemas: Readonly<Record<string, unknown>> } }): string {
  const { schemas } = specification.components;
  const taken = new Map<string, unknown>();
  const waiting = [...ROOTS];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (taken.has(name)) continue;
    if (!Object.hasOwn(schemas, name)) throw new Error(`the specification has no schema ${name}`);
    const cut = reduce(schemas[name], false);
    taken.set(name, cut);
    waiting.push(...references(cut));
  }
  const lines = [...taken].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, schema]) => `    ${JSON.stringify(name)}: ${JSON.stringify(schema)}`);
  const note = `An extract of OpenAI's OpenAPI specification, version ${specification.info.version}. Copyright (c) OpenAI, MIT licence. Made by apps/server/src/testing/openai-schemas.ts.`;
  return `{\n  "$comment": ${JSON.stringify(note)},\n  "$defs": {\n${lines.join(',\n')}\n  }\n}\n`;
}

/** `named`: the keys of this object are names of fields, not words of the schema's language. */
function reduce(value: unknown, named: boolean): unknown {
  if (Array.isArray(value)) return value.map((each) => reduce(each, false));
  if (!isObject(value)) return value;
  const { nullable, ...rest } = Object.fromEntries(Object.entries(value).flatMap(([key, inner]): [string, unknown][] => {
    if (!named && (WORDS.has(key) || key.startsWith('x-'))) return [];
    if (!named && key === '$ref' && typeof inner === 'string') return [[key, `#/$defs/${nameOf(inner)}`]];
    const isUnion = !named && (key === 'anyOf' || key === 'oneOf') && Array.isArray(inner);
    const kept = isUnion ? inner.filter(isRead) : inner;
    // Where nothing is left of a union it is not about text at all: nothing is demanded of it.
    if (isUnion && Array.isArray(kept) && kept.length === 0) return [];
    // What several branches fit is no fault of an answer: unions of the specification overlap once their formats are gone.
    return [[isUnion ? 'anyOf' : key, reduce(kept, !named && key === 'properties')]];
  }));
  const reference = rest['$ref'];
  if (typeof reference === 'string' && NOT_TEXT.test(nameOf(reference))) return {};
  return named || nullable !== true ? { ...rest, ...(named && nullable !== undefined && { nullable }) } : { anyOf: [rest, { type: 'null' }] };
}

function references(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(references);
  if (!isObject(value)) return [];
  const own = typeof value['$ref'] === 'string' ? [nameOf(value['$ref'])] : [];
  return [...own, ...Object.values(value).flatMap(references)];
}

if (import.meta.main) {
  const [path] = process.argv.slice(2);
  if (path === undefined) throw new Error('name the specification: node apps/server/src/testing/openai-schemas.ts openai-openapi.json');
  writeFileSync(EXTRACT, extract(JSON.parse(readFileSync(path, 'utf8')) as Parameters<typeof extract>[0]));
}
