/** The description of the API as OpenAPI 3.1, made of the schemas that requests are parsed with. */
import * as z from 'zod';
import { ROUTES } from '../gate/routes.ts';
import * as answers from './answers.ts';
import { FIELDS, type Operation, OPERATIONS, TAGS } from './operations.ts';

export type Schema = Readonly<Record<string, unknown>>;

export interface Described {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description?: string;
  readonly security: readonly Schema[];
  readonly parameters?: readonly { readonly name: string; readonly in: 'path' | 'query'; readonly required: boolean; readonly description?: string; readonly schema: Schema }[];
  readonly requestBody?: { readonly required: true; readonly content: Readonly<Record<string, { readonly schema: Schema; readonly example?: Schema }>> };
  readonly responses: Readonly<Record<string, Schema>>;
}

export interface Document {
  readonly openapi: '3.1.0';
  readonly info: { readonly title: string; readonly version: string; readonly description: string; readonly license: Schema };
  readonly servers: readonly { readonly url: string }[];
  readonly tags: readonly { readonly name: string; readonly description: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>>; readonly responses: Readonly<Record<string, Schema>>; readonly securitySchemes: Schema };
}

/** As JSON schema of 2020-12, which is OpenAPI 3.1's: what may be sent, where sending and reading differ. */
function schemaOf(schema: z.ZodType): Schema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return rest;
}

function requestSchema(schema: z.ZodType, own: Operation['fields'] = {}): Schema {
  const meanings = { ...FIELDS, ...own };
  const { properties, ...rest } = schemaOf(schema) as { properties?: Readonly<Record<string, Schema>> };
  const described = Object.entries(properties ?? {}).map(([name, property]) => [name, { ...property, ...(meanings[name] !== undefined && { description: meanings[name] }) }]);
  return { ...rest, properties: Object.fromEntries(described) as Schema };
}

/** `/v1/models/:id{.+}` → `/v1/models/{id}`. */
export const pathOf = (route: string): string => route.replaceAll(/:(\w+)(?:\{[^}]*\})?/g, '{$1}');

const json = (schema: Schema): Schema => ({ 'application/json': { schema } });
const failure = { $ref: '#/components/responses/Error' };

/** Of these routes (`POST /v1/completions`), as an app has them registered. Those without a description are there with their names only. */
export function describeApi(routes: readonly string[], version: string): Document {
  const paths: Record<string, Record<string, Described>> = {};
  // In the order of the descriptions, which is the order to read them in.
  const order = Object.keys(OPERATIONS);
  const place = (route: string): number => (order.includes(route) ? order.indexOf(route) : order.length);
  for (const route of [...new Set(routes)].toSorted((a, b) => place(a) - place(b))) {
    const [method = '', path = ''] = route.split(' ');
    if (path.includes('*')) continue;
    (paths[pathOf(path)] ??= {})[method.toLowerCase()] = describe(route, OPERATIONS[route] ?? { tag: 'Other', summary: route });
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Parley', version, description: "A language model of one's own, behind the API that OpenAI's clients speak.", license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    servers: [{ url: '/' }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      schemas: { Error: schemaOf(answers.error), Usage: schemaOf(answers.usage) },
      responses: { Error: { description: "What went wrong, in the form that OpenAI's clients raise.", content: json({ $ref: '#/components/schemas/Error' }) } },
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer', description: 'A key of `parley keys create`. On one machine alone, before there is any key, none is asked for.' },
        session: { type: 'apiKey', in: 'cookie', name: 'parley_session', description: 'Of POST /api/session. Before there is any account, none is asked for.' },
      },
    },
  };
}

function describe(route: string, operation: Operation): Described {
  const [method = '', path = ''] = route.split(' ');
  const { tag, summary, details, request, example, query = {} } = operation;
  const { need } = ROUTES[route] ?? { need: 'admin' };
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name = '']) => ({ name, in: 'path' as const, required: true, schema: { type: 'string' } }));
  const inQuery = Object.entries(query).map(([name, description]) => ({ name, in: 'query' as const, required: false, description, schema: { type: 'string' } }));
  const parameters = [...inPath, ...inQuery];
  const takesBody = request !== undefined || example !== undefined;
  return {
    operationId: [method.toLowerCase(), ...(path.match(/\w+/g) ?? [])].join('_'),
    tags: [tag], summary, ...(details !== undefined && { description: details }),
    security: need === 'public' ? [] : need === 'page' ? [{ session: [] }] : [{ key: [] }],
    ...(parameters.length > 0 && { parameters }),
    ...(takesBody && {
      requestBody: { required: true, content: { 'application/json': { schema: request === undefined ? { type: 'object' } : requestSchema(request, operation.fields), ...(example && { example }) } } },
    }),
    responses: {
      [operation.status ?? 200]: { description: 'What was asked for.', ...content(operation) },
      ...(operation.also !== undefined && { [operation.also]: { description: 'The same, when it is not so.', ...content(operation) } }),
      ...errors({ need, takesBody, hasPlace: inPath.length > 0 || (request !== undefined && need === 'chat') }),
    },
  };
}

function content({ answer, chunk }: Operation): { readonly content?: Schema } {
  if (answer === 'none' && chunk === undefined) return {};
  const whole = answer === 'none' ? {} : typeof answer === 'string' ? { [answer]: { schema: { type: 'string' } } } : json(answer === undefined ? {} : schemaOf(answer));
  if (chunk === undefined) return { content: whole };
  // OpenAPI 3.1 has no words for a stream's events: their schema stands beside.
  const events = { 'text/event-stream': { schema: { type: 'string' }, ...(chunk !== 'events' && { 'x-event-schema': schemaOf(chunk) }) } };
  return { content: { ...whole, ...events } };
}

function errors({ need, takesBody, hasPlace }: { need: string; takesBody: boolean; hasPlace: boolean }): Record<string, Schema> {
  const statuses = [
    ...(takesBody ? [400, 413, 415] : []), ...(need === 'public' ? [] : [401, 403]), ...(hasPlace ? [404] : []), ...(need === 'public' ? [] : [429]), 500, ...(need === 'public' ? [] : [503]),
  ];
  return Object.fromEntries(statuses.toSorted((a, b) => a - b).map((status) => [status, failure]));
}
