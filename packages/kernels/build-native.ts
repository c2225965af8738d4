/**
 * Compiles `native/` to `build/native.node` with the C++ compiler that is there: $CXX, c++, g++ or clang++. What depends on the
 * instruction set is compiled once for each. Does nothing when no input has changed.
 *
 * The native kernels are optional. Where there is no compiler, or it fails, this prints nothing, ends well, and writes the
 * reason to `build/native.log`, from where those who ask for the native backend get it. `--verbose` prints it and then fails.
 */
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { nativeFingerprint, nativeSignatures } from './src/native.ts';

const root = import.meta.dirname;
const output = join(root, 'build');
const objects = join(output, 'native');
const addon = join(output, 'native.node');
const log = join(output, 'native.log');
const verbose = process.argv.includes('--verbose');

/** Compiled once, and compiled for every instruction set; the rest is included by these. The longest first. */
const COMMON = ['addon.cc', 'memory.cc', 'pool.cc'];
const KERNELS = ['small.cc', 'matmul.cc', 'attention.cc', 'attention-backward.cc', 'quantized-matmul.cc'];
/** Compiled for one instruction set only. */
const EXTRA: Readonly<Record<string, readonly string[]>> = { avx2: ['quantized-matmul-avxvnni.cc'] };
const INSTRUCTION_SETS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  x64: {
    avx512: [
      '-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mavx512vnni', '-mavx2', '-mfma', '-mf16c', '-mprfchw', '-mprefer-vector-width=512',
    ],
    avx2: ['-mavx2', '-mfma', '-mf16c'],
    baseline: [],
  },
  arm64: { baseline: [] },
};
const FLAGS = [
  '-std=c++17', '-O3', '-fPIC', '-fvisibility=hidden', '-pthread',
  // Sums are rounded as they are written; errno and traps are nobody's.
  '-ffp-contract=off', '-fno-math-errno', '-fno-trapping-math',
  '-Wall', '-Wextra', '-Wno-unused-parameter', '-Wno-unused-function', '-Wno-psabi', '-Wno-ignored-attributes',
  // GCC 12 warns so of its own header.
  '-Wno-maybe-uninitialized', '-Wno-uninitialized',
];
/** One file's compilation takes seconds; what takes longer than this hangs. */
const TIMEOUT_MS = 240_000;
const HOUR_MS = 3_600_000;

class Unavailable extends Error {}

interface Unit {
  readonly source: string;
  readonly object: string;
  readonly flags: readonly string[];
}

try {
  await build();
} catch (error) {
  const reason = error instanceof Unavailable ? error.message : String(error instanceof Error ? (error.stack ?? error.message) : error);
  mkdirSync(output, { recursive: true });
  rmSync(addon, { force: true });
  replaceFile(log, `${reason.trim()}\n`);
  if (verbose) {
    console.error(reason);
    process.exitCode = 1;
  }
}

async function build(): Promise<void> {
  if (process.platform === 'win32') throw new Unavailable('the native kernels are not built on Windows');
  const sets = INSTRUCTION_SETS[process.arch];
  if (sets === undefined) throw new Unavailable(`the native kernels are for x64 and arm64, not ${process.arch}`);
  const compiler = findCompiler();
  const native = join(root, 'native');
  const names = readdirSync(native).sort();
  const texts = new Map(names.map((name) => [name, readFileSync(join(native, name), 'utf8')]));
  const nodeHeaders = (createRequire(import.meta.url)('node-api-headers') as { include_dir: string }).include_dir;
  const common = [...compiler.command, compiler.version, nodeHeaders, readFileSync(import.meta.filename, 'utf8'), argumentsHeader()];
  const unit = (name: string, set: string, extra: readonly string[]): Unit => {
    const flags = [...FLAGS, ...extra];
    const inputs = [...inputsOf(name, texts)].sort().map((input) => texts.get(input));
    const hash = createHash('sha256').update(JSON.stringify([common, flags, inputs])).digest('hex').slice(0, 16);
    return { source: join(native, name), flags, object: join(objects, `${name.replace('.cc', '')}-${set}-${hash}.o`) };
  };
  const units = [
    ...Object.entries(sets).flatMap(([set, extra]) =>
      [...KERNELS, ...(EXTRA[set] ?? [])].map((name) => unit(name, set, [...extra, `-DPARLEY_ISA=${set}`]))),
    ...COMMON.map((name) => unit(name, 'common', [`-DPARLEY_COMPILER="${compiler.version}"`])),
  ];
  const fingerprint = createHash('sha256').update(JSON.stringify(units.map(({ object }) => object))).digest('hex');
  const stamp = join(objects, 'inputs.sha256');
  if (existsSync(addon) && existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint) return;

  const started = performance.now();
  mkdirSync(objects, { recursive: true });
  replaceFile(join(objects, 'arguments.h'), argumentsHeader());
  const waiting = units.filter(({ object }) => !existsSync(object));
  const compileWaiting = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const temporary = `${next.object}.${process.pid}`;
      try {
        await run(compiler.command, [...next.flags, '-I', objects, '-I', nodeHeaders, '-c', next.source, '-o', temporary]);
      } catch (error) {
        waiting.length = 0;
        throw error;
      }
      renameSync(temporary, next.object);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, compileWaiting));
  const temporary = `${addon}.${process.pid}`;
  const link = process.platform === 'darwin' ? ['-undefined', 'dynamic_lookup'] : [];
  await run(compiler.command, ['-shared', '-pthread', ...link, '-o', temporary, ...units.map(({ object }) => object)]);
  renameSync(temporary, addon);
  replaceFile(stamp, fingerprint);
  rmSync(log, { force: true });
  const kept = new Set(units.map(({ object }) => object));
  // What is young may belong to another build that is running.
  for (const path of readdirSync(objects).map((name) => join(objects, name))) {
    if (path.includes('.o') && !kept.has(path) && Date.now() - statSync(path).mtimeMs > HOUR_MS) rmSync(path, { force: true });
  }
  console.log(`native kernels: built in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

/** A source and what it includes of its folder. */
function inputsOf(name: string, texts: ReadonlyMap<string, string>, found = new Set<string>()): Set<string> {
  const text = texts.get(name);
  if (text === undefined || found.has(name)) return found;
  found.add(name);
  for (const [, included = ''] of text.matchAll(/^#include "(.+)"$/gm)) inputsOf(included, texts, found);
  return found;
}

function findCompiler(): { command: string[]; version: string } {
  const asked = process.env['CXX']?.trim();
  const candidates = asked ? [asked.split(/\s+/)] : [['c++'], ['g++'], ['clang++']];
  for (const [program = '', ...args] of candidates) {
    const { status, stdout } = spawnSync(program, [...args, '--version'], { encoding: 'utf8', timeout: TIMEOUT_MS });
    if (status === 0) return { command: [program, ...args], version: stdout.split('\n')[0] ?? program };
  }
  throw new Unavailable(
    asked ? `$CXX, ${asked}, does not run` : 'there is no C++ compiler (c++, g++ or clang++): install one, then run "npm run build -w @parley/kernels"',
  );
}

async function run([program = '', ...first]: readonly string[], args: readonly string[]): Promise<void> {
  try {
    const { stderr } = await promisify(execFile)(program, [...first, ...args], { timeout: TIMEOUT_MS, maxBuffer: 1 << 26 });
    if (verbose && stderr !== '') console.error(stderr);
  } catch (error) {
    const { stderr = '', message } = error as Error & { stderr?: string };
    throw new Unavailable(`the native kernels do not compile:\n${message}\n${stderr}`);
  }
}

/** The structs of arguments, and the list of operations as a macro. */
function argumentsHeader(): string {
  const types: Record<string, string> = {
    'f32*': 'Pointer<float>', 'i32*': 'Pointer<int32_t>', 'u8*': 'Pointer<uint8_t>', int: 'Integer', number: 'Number',
    'const f32*': 'Pointer<const float>', 'const i32*': 'Pointer<const int32_t>', 'const u8*': 'Pointer<const uint8_t>',
  };
  const structOf = (name: string): string => `${name.charAt(0).toUpperCase()}${name.slice(1)}Arguments`;
  const lines = ['/** Written by build-native.ts from src/native.ts. */', '#pragma once', '', 'namespace parley {', ''];
  for (const [name, signature] of nativeSignatures) {
    lines.push(`struct ${structOf(name)} {`);
    for (const argument of signature.split(', ')) {
      const space = argument.lastIndexOf(' ');
      const [type, member] = [types[argument.slice(0, space)], argument.slice(space + 1)];
      if (type === undefined) throw new Error(`src/native.ts: ${name}: "${argument}" is of no known type`);
      lines.push(member.endsWith('?') ? `  ${type} ${member.slice(0, -1)};  // or null` : `  ${type} ${member};`);
    }
    lines.push('};', '');
  }
  lines.push('#define PARLEY_OPERATIONS(X) \\', nativeSignatures.map(([name]) => `  X(${name}, ${structOf(name)})`).join(' \\\n'), '');
  lines.push(`constexpr unsigned PARLEY_FINGERPRINT = ${nativeFingerprint}u;`, '', '}  // namespace parley', '');
  return lines.join('\n');
}

/** Other processes see the old file or the new one, never half. */
function replaceFile(name: string, data: string): void {
  const temporary = `${name}.${process.pid}`;
  writeFileSync(temporary, data);
  renameSync(temporary, name);
}
