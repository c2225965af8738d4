/**
 * Compiles `assembly/` to `build/relaxed.wasm` and `build/plain.wasm`: one source, the constant RELAXED tells them apart.
 * Does nothing when no input has changed. `--force` compiles anyway, `--wat` also writes the text format.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Worker, workerData } from 'node:worker_threads';
import { MAXIMUM_PAGES, MINIMUM_PAGES } from './src/abi.ts';
import { operationsFingerprint, operationSources } from './src/operations.ts';

type Variant = 'relaxed' | 'plain';

interface Compiler {
  main(
    args: string[],
    host: { readFile(name: string, base: string): string | null; writeFile(name: string, data: string | Uint8Array, base: string): void },
  ): Promise<{ error: Error | null; stderr: { toString(): string } }>;
}

const root = import.meta.dirname;
const output = join(root, 'build');
const flags = new Set(process.argv.slice(2));

/** What a compiling thread is given: both compile the sources that were hashed, whatever happens to the files meanwhile. */
interface Job {
  variant: Variant;
  sources: Map<string, string>;
}
const job = workerData as Job | null;
const sources = job?.sources ?? readSources();

const compilerVersion = (createRequire(import.meta.url)('assemblyscript/package.json') as { version: string }).version;
const hash = createHash('sha256').update(compilerVersion).update(readFileSync(import.meta.filename));
for (const [name, text] of sources) hash.update(`\n${name}\n${text}`);
const fingerprint = hash.digest('hex');

if (job !== null) await compile(job.variant);
else if (flags.size > 0 || !upToDate()) {
  const started = performance.now();
  mkdirSync(output, { recursive: true });
  // The compiler takes seconds of one core for each.
  await Promise.all([compileInThread('relaxed'), compileInThread('plain')]);
  replaceFile('inputs.sha256', fingerprint);
  console.log(`kernels: built in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

function readSources(): Map<string, string> {
  const names = readdirSync(join(root, 'assembly')).filter((name) => name.endsWith('.ts')).sort();
  const read = new Map(names.map((name) => [`assembly/${name}`, readFileSync(join(root, 'assembly', name), 'utf8')]));
  return read.set('assembly/dispatch.ts', dispatchSource());
}

function compileInThread(variant: Variant): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(import.meta.filename, { workerData: { variant, sources } satisfies Job, argv: [...flags] });
    worker.once('error', reject);
    worker.once('exit', (status) => (status === 0 ? resolve() : reject(new Error(`compiling ${variant}.wasm ended with status ${status}`))));
  });
}

/** The switch from an operation's number to its kernel. */
function dispatchSource(): string {
  const lines = ['// @ts-nocheck'];
  for (const [name, file] of operationSources) lines.push(`import { ${name} } from './${file}';`);
  // Exported, so that Binaryen does not inline a kernel into its only caller: a function that never returns (`workerMain`)
  // stays in V8's baseline tier for ever, and so would whatever was inlined into it.
  for (const [name, file] of operationSources) lines.push(`export { ${name} } from './${file}';`);
  lines.push(`export function operationsFingerprint(): u32 { return ${operationsFingerprint}; }`);
  lines.push('export function execute(operation: u32, args: usize, chunk: u32, scratch: usize): void {', '  switch (operation) {');
  operationSources.forEach(([name], index) => lines.push(`    case ${index}: ${name}(args, chunk, scratch); return;`));
  lines.push('    default: unreachable();', '  }', '}', '');
  return lines.join('\n');
}

async function compile(variant: Variant): Promise<void> {
  const asc = (await import('assemblyscript/asc' as string)) as Compiler;
  const args = ['assembly/index.ts', '--outFile', `${variant}.wasm`, '-O3', '--noAssert', '--runtime', 'stub'];
  args.push('--importMemory', '--sharedMemory', '--noExportMemory', '--memoryBase', '4096');
  args.push('--initialMemory', String(MINIMUM_PAGES), '--maximumMemory', String(MAXIMUM_PAGES));
  args.push('--enable', 'simd', '--enable', 'threads', '--use', `RELAXED=${variant === 'relaxed' ? 1 : 0}`);
  if (variant === 'relaxed') args.push('--enable', 'relaxed-simd');
  if (flags.has('--wat')) args.push('--textFile', `${variant}.wat`);
  const written = new Map<string, string | Uint8Array>();
  const { error, stderr } = await asc.main(args, {
    readFile: (name) => sources.get(name.replaceAll('\\', '/')) ?? null,
    writeFile: (name, data) => void written.set(name, data),
  });
  if (error !== null) throw new Error(`assembly/ does not compile (${variant}):\n${stderr.toString()}`, { cause: error });
  for (const [name, data] of written) replaceFile(name, data);
}

function upToDate(): boolean {
  try {
    const files = readdirSync(output);
    return files.includes('relaxed.wasm') && files.includes('plain.wasm') && readFileSync(join(output, 'inputs.sha256'), 'utf8') === fingerprint;
  } catch {
    return false;
  }
}

/** Other processes see the old file or the new one, never half. */
function replaceFile(name: string, data: string | Uint8Array): void {
  const temporary = join(output, `.${name}.${process.pid}`);
  writeFileSync(temporary, data);
  renameSync(temporary, join(output, name));
}
