/** The description for people: one page, without scripts and without anything from elsewhere. */
import { createHash } from 'node:crypto';
import type { Described, Document, Schema } from './document.ts';

const STYLE = `
:root { color-scheme: light dark; --text: #1d2125; --soft: #5b6570; --line: #e2e6ea; --back: #fff; --raised: #f6f7f9; --accent: #0b63b5; --get: #14703c; --post: #0b63b5; --patch: #8a5300; --delete: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e9ec; --soft: #9aa5b1; --line: #2c333a; --back: #14181c; --raised: #1c2126; --accent: #7cb7f5; --get: #6fd39a; --post: #7cb7f5; --patch: #e5b567; --delete: #f2938c; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 1.5rem; }
body { margin: 0; background: var(--back); color: var(--text); font: 16px/1.6 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; }
a { color: var(--accent); text-underline-offset: .15em; }
code, pre { font: .875em/1.55 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre { background: var(--raised); border: 1px solid var(--line); border-radius: 8px; padding: .8rem 1rem; overflow-x: auto; margin: .8rem 0; }
.page { display: grid; grid-template-columns: 17rem minmax(0, 46rem); gap: 3.5rem; max-width: 70rem; margin: 0 auto; padding: 2.5rem 1.5rem 6rem; }
nav { position: sticky; top: 1.5rem; align-self: start; max-height: calc(100vh - 3rem); overflow-y: auto; font-size: .875rem; }
nav h2 { font-size: .75rem; letter-spacing: .06em; text-transform: uppercase; color: var(--soft); margin: 1.4rem 0 .4rem; }
nav ul { list-style: none; margin: 0; padding: 0; }
nav a { display: block; padding: .18rem 0; color: var(--text); text-decoration: none; }
nav a:hover { color: var(--accent); text-decoration: underline; }
h1 { font-size: 2rem; line-height: 1.2; letter-spacing: -.02em; margin: 0 0 .5rem; }
main > section > h2 { font-size: 1.35rem; letter-spacing: -.01em; margin: 3.5rem 0 .3rem; }
.lead { font-size: 1.1rem; color: var(--soft); margin: 0 0 1.5rem; }
.soft { color: var(--soft); }
article { border-top: 1px solid var(--line); padding: 1.5rem 0 .6rem; margin-top: 1.5rem; }
article h3 { margin: 0; font-size: 1.05rem; }
.route { display: flex; flex-wrap: wrap; gap: .2rem .7rem; align-items: baseline; margin: .25rem 0 .4rem; }
.route code { overflow-wrap: anywhere; }
.method { font: 600 .75rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.get { color: var(--get); } .post { color: var(--post); } .patch { color: var(--patch); } .delete { color: var(--delete); }
p { margin: .4rem 0; }
details { margin: .7rem 0; }
summary { cursor: pointer; color: var(--accent); font-size: .9375rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; margin: .5rem 0; }
th { text-align: left; font-weight: 600; color: var(--soft); }
th, td { padding: .4rem .9rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td:first-child { white-space: nowrap; }
.must { color: var(--delete); font-size: .75rem; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
@media (max-width: 56rem) { .page { grid-template-columns: minmax(0, 1fr); gap: 1rem; padding-top: 1.5rem; } nav { position: static; max-height: none; } }
@media (max-width: 36rem) { thead { position: absolute; clip-path: inset(50%); } tr { display: block; padding: .5rem 0; border-bottom: 1px solid var(--line); } td { display: block; border: 0; padding: 0; } }
`;

/** Nothing runs and nothing is loaded; the one style sheet is known by its hash. */
export const DOCS_POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
/** With `code` in backticks. */
const prose = (text: string): string => escape(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>');

/** `origin`: where the page was asked for, as examples name it. */
export function docsPage(document: Document, origin: string): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method, operation })));
  const groups = [...document.tags, { name: 'Other', description: '' }].map((tag) => ({ ...tag, operations: operations.filter(({ operation }) => operation.tags.includes(tag.name)) }))
    .filter((group) => group.operations.length > 0);
  const { title, version, description } = document.info;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}: the API</title>
<style>${STYLE}</style>
</head>
<body>
<div class="page">
<nav aria-label="Contents">
<a href="#top"><strong>${escape(title)}</strong> <span class="soft">${escape(version)}</span></a>
${groups.map(({ name, operations: own }) => `<h2>${escape(name)}</h2>\n<ul>\n${own.map(({ operation }) => `<li><a href="#${operation.operationId}">${escape(operation.summary)}</a></li>`).join('\n')}\n</ul>`).join('\n')}
</nav>
<main id="top">
<h1>${escape(title)}: the API</h1>
<p class="lead">${prose(description)}</p>
<p>Set the base URL of any OpenAI client to <code>${escape(origin)}/v1</code>. The same description for programs: <a href="/openapi.json">openapi.json</a> (OpenAPI 3.1).</p>
<pre tabindex="0"><code>${escape(`import OpenAI from 'openai';

const client = new OpenAI({ baseURL: '${origin}/v1', apiKey: 'none' });
const stream = await client.chat.completions.create({
  model: 'default', messages: [{ role: 'user', content: 'Hello!' }], stream: true,
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? '');`)}</code></pre>
<p><strong>Keys.</strong> ${prose("On this machine alone none is asked for, until there is one. `parley keys create` makes one; send it as `Authorization: Bearer …`.")}</p>
<p><strong>Errors</strong> ${prose('have OpenAI\'s form on every path: `{"error": {"message", "type", "param", "code"}}`, all four always. A parameter is done or refused by name; none is ignored. `x-request-id` is on every answer.')}</p>
${groups.map(({ name, description: about, operations: own }) => `<section>
<h2>${escape(name)}</h2>
<p class="soft">${prose(about)}</p>
${own.map((each) => operationPart(each, origin)).join('\n')}
</section>`).join('\n')}
</main>
</div>
</body>
</html>
`;
}

function operationPart({ path, method, operation }: { path: string; method: string; operation: Described }, origin: string): string {
  const body = operation.requestBody?.content['application/json'];
  const statuses = Object.keys(operation.responses);
  const failures = statuses.filter((status) => '$ref' in (operation.responses[status] ?? {}));
  const told = operation.responses[statuses.find((status) => status.startsWith('2')) ?? '200']?.['content'] as Readonly<Record<string, { schema: Schema }>> | undefined;
  return `<article id="${operation.operationId}">
<h3>${escape(operation.summary)}</h3>
<div class="route"><span class="method ${method}">${method.toUpperCase()}</span><code>${escape(path)}</code></div>
${operation.description === undefined ? '' : `<p>${prose(operation.description)}</p>`}
${operation.parameters === undefined ? '' : fieldTable(operation.parameters.map((parameter) => ({ ...parameter, type: parameter.in === 'path' ? 'in the path' : 'query', description: parameter.description ?? '' })))}
${body?.example === undefined ? '' : `<pre tabindex="0"><code>${escape(`curl ${origin}${path.replace('{engine}', 'davinci')} -H 'content-type: application/json' \\\n  -d '${JSON.stringify(body.example, null, 2).replaceAll('\n', '\n  ')}'`)}</code></pre>`}
${body === undefined ? '' : schemaPart('What may be asked', body.schema)}
${told?.['application/json'] === undefined ? '' : schemaPart('What is answered', told['application/json'].schema)}
${failures.length === 0 ? '' : `<p class="soft">Errors: ${failures.join(', ')}</p>`}
</article>`;
}

interface Row {
  readonly name: string;
  readonly type: string;
  readonly description: string;
  readonly required: boolean;
}

function schemaPart(title: string, schema: Schema): string {
  const properties = (schema['properties'] ?? {}) as Readonly<Record<string, Schema>>;
  const required = (schema['required'] ?? []) as readonly string[];
  const rows = Object.entries(properties).map(([name, each]) => ({ name, type: typeOf(each), description: typeof each['description'] === 'string' ? each['description'] : '', required: required.includes(name) }));
  // What has to be there comes first.
  return rows.length === 0 ? '' : `<details><summary>${title}</summary>${fieldTable(rows.toSorted((a, b) => Number(b.required) - Number(a.required)))}</details>`;
}

function fieldTable(rows: readonly Row[]): string {
  const described = rows.some(({ description }) => description !== '');
  const lines = rows.map(({ name, type, description, required }) =>
    `<tr><td><code>${escape(name)}</code>${required ? ' <span class="must">required</span>' : ''}</td><td>${escape(type)}</td>${described ? `<td>${prose(description)}</td>` : ''}</tr>`);
  return `<div class="scroll" tabindex="0"><table><thead><tr><th scope="col">Field</th><th scope="col">Type</th>${described ? '<th scope="col">Meaning</th>' : ''}</tr></thead><tbody>\n${lines.join('\n')}\n</tbody></table></div>`;
}

/** In words: `number 0 to 2`, `"a" or "b"`. */
function typeOf(schema: Schema): string {
  const { type, enum: values, const: only, anyOf, oneOf, items, minimum, maximum } = schema;
  if (only !== undefined) return JSON.stringify(only);
  if (Array.isArray(values)) return values.map((value) => JSON.stringify(value)).join(' or ');
  const branches = (anyOf ?? oneOf) as readonly Schema[] | undefined;
  if (branches !== undefined) {
    const types = new Set(branches.map(typeOf).filter((each) => each !== 'null'));
    return types.size === 0 ? 'null' : [...types].join(' or ');
  }
  if (type === 'array') return items === undefined ? 'list' : `list of ${typeOf(items as Schema)}`;
  if (type === 'integer' || type === 'number') {
    const [from, to] = [minimum, maximum].map((bound) => (typeof bound === 'number' && Math.abs(bound) < Number.MAX_SAFE_INTEGER ? bound : undefined));
    const range = from !== undefined && to !== undefined ? ` ${from} to ${to}` : from !== undefined ? ` from ${from}` : to !== undefined ? ` up to ${to}` : '';
    return `${type === 'integer' ? 'whole number' : 'number'}${range}`;
  }
  return typeof type === 'string' ? ({ string: 'text', boolean: 'true or false' }[type] ?? type) : 'any';
}
