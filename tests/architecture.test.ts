/** Holds the arrows of the design: who may import whom, and which code may know that it runs in Node. */
import { globSync, readFileSync } from 'node:fs';
import { dirname, resolve, sep } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');

/** Package → what it may name. What those may name, it may name too: dependencies point down. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  kernels: [],
  engine: ['kernels'],
  gguf: [],
  tokenizer: ['gguf'],
  data: ['tokenizer'],
  model: ['engine', 'gguf'],
  train: ['model', 'data'],
  generate: ['model', 'tokenizer'],
  tasks: ['generate'],
  protocol: [],
  server: ['generate', 'protocol'],
  web: ['protocol'],
  parley: ['kernels', 'engine', 'gguf', 'tokenizer', 'data', 'model', 'train', 'generate', 'tasks', 'protocol', 'server'],
};

/** Those under apps/; the others are under packages/. */
const APPS: readonly string[] = ['server', 'web'];
const homeOf = (name: string): string => (APPS.includes(name) ? `apps/${name}` : `packages/${name}`);

/** Packages whose sources outside src/node/ run in any JavaScript runtime. */
const UNIVERSAL = ['kernels', 'engine', 'gguf', 'tokenizer', 'model', 'generate'];

function reachable(name: string): Set<string> {
  const below = ARROWS[name] ?? [];
  return new Set(below.flatMap((next) => [next, ...reachable(next)]));
}

interface Import {
  readonly file: string;
  readonly specifier: string;
}

/** `import … from 'x'`, `export … from 'x'`, `import 'x'` at the start of a line; `import('x')` anywhere. */
const IMPORT = /^[ \t]*(?:import|export)\s(?:[\w*{},\s]+?\sfrom\s+)?'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm;

/** Every static and dynamic import with a literal name under a package's src/. */
function importsOf(name: string): Import[] {
  const files = globSync(`${homeOf(name)}/src/**/*.{ts,tsx}`, { cwd: root });
  return files.flatMap((file) => {
    const source = readFileSync(resolve(root, file), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
    return [...source.matchAll(IMPORT)].map((match) => ({ file, specifier: match[1] ?? match[2] ?? '' }));
  });
}

const isTest = (file: string): boolean => /\.test\.tsx?$/.test(file) || file.includes(`${sep}testing${sep}`);
const names = Object.keys(ARROWS);

test('every package of the workspace has its arrows', () => {
  const folders = globSync(['packages/*/package.json', 'apps/*/package.json'], { cwd: root }).map((file) => file.split(sep)[1]);
  expect(new Set(folders)).toEqual(new Set(names));
});

test.each(names)('%s imports only packages below it, and declares them', (name) => {
  const allowed = reachable(name);
  const manifest = JSON.parse(readFileSync(resolve(root, homeOf(name), 'package.json'), 'utf8')) as {
    dependencies?: Record<string, string>;
    devDependencies?: Record<string, string>;
  };
  const declared = new Set([...Object.keys(manifest.dependencies ?? {}), ...Object.keys(manifest.devDependencies ?? {})]);
  const faults: string[] = [];
  let seen = 0;
  for (const { file, specifier } of importsOf(name)) {
    if (specifier.startsWith('.') || specifier.startsWith('node:')) continue;
    seen++;
    const target = specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
    const internal = target === 'parley' ? 'parley' : /^@parley\/(.+)$/.exec(target)?.[1];
    if (internal !== undefined && internal !== name && !allowed.has(internal)) faults.push(`${file} imports ${specifier}`);
    if (internal === name) continue;
    // Tests may use the workspace's own development tools.
    if (!declared.has(target) && !isTest(file)) faults.push(`${file} imports ${specifier}, which ${homeOf(name)}/package.json does not declare`);
  }
  expect(faults).toEqual([]);
  // A package with arrows that imports nothing would mean that this test no longer sees imports.
  expect(seen).toBeGreaterThanOrEqual(Math.min(1, ARROWS[name]?.length ?? 0));
});

test.each(names)('%s keeps its relative imports inside the package', (name) => {
  const home = resolve(root, homeOf(name)) + sep;
  const faults = importsOf(name)
    .filter(({ specifier }) => specifier.startsWith('.'))
    .filter(({ file, specifier }) => !resolve(root, dirname(file), specifier).startsWith(home))
    .map(({ file, specifier }) => `${file} imports ${specifier}`);
  expect(faults).toEqual([]);
});

test.each(UNIVERSAL)('%s touches Node only under src/node/', (name) => {
  const faults = importsOf(name)
    .filter(({ file, specifier }) => !isTest(file) && !file.includes(`${sep}src${sep}node${sep}`) && (specifier.startsWith('node:') || specifier.endsWith('/node')))
    .map(({ file, specifier }) => `${file} imports ${specifier}`);
  expect(faults).toEqual([]);
});

test('index.ts stands only at the root of a package entry', () => {
  const misplaced = globSync(['packages/*/src/**/index.ts', 'apps/*/src/**/index.ts'], { cwd: root })
    .map((file) => file.split(sep).slice(2).join('/'))
    .filter((file) => !['src/index.ts', 'src/node/index.ts', 'src/testing/index.ts'].includes(file));
  expect(misplaced).toEqual([]);
});

test('the core is checked without DOM and Node types', () => {
  const core = JSON.parse(readFileSync(resolve(root, 'tsconfig.core.json'), 'utf8')) as { extends: string; include: string[]; compilerOptions?: unknown };
  const base = JSON.parse(readFileSync(resolve(root, 'tsconfig.base.json'), 'utf8')) as { compilerOptions: { lib: string[]; types: string[] } };
  expect(core.compilerOptions).toBeUndefined();
  expect(core.extends).toBe('./tsconfig.base.json');
  expect(base.compilerOptions.types).toEqual([]);
  expect(base.compilerOptions.lib.filter((lib) => /dom|worker/i.test(lib))).toEqual([]);
  for (const name of UNIVERSAL) expect(core.include).toContain(`packages/${name}/src/**/*.ts`);
});
