/** `parley serve` as a child process: what people run is what is measured. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createBackend } from '@parley/engine/node';
import { resolveModel, saveModel } from '@parley/model/node';
import { randomModel, shapeConfig } from '../model-shape.ts';

const CLI = new URL('../../packages/parley/src/cli.ts', import.meta.url).pathname;

export interface RunningServer extends AsyncDisposable {
  readonly url: string;
  /** Seconds of processor time it has taken so far; null where the system does not tell. */
  cpuSeconds(): Promise<number | null>;
}

/** On any free port. Throws what it said, if it ends before it serves. */
export async function startServer(args: readonly string[]): Promise<RunningServer> {
  const child = spawn(process.execPath, [CLI, 'serve', '--port', '0', '--json', '--data', 'none', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const said: string[] = [];
  child.stderr.setEncoding('utf8').on('data', (text: string) => said.push(text));
  const exited = once(child, 'exit');
  const line = await Promise.race([once(createInterface(child.stdout), 'line'), exited.then(() => null)]);
  if (line === null) throw new Error(`parley serve ended at once: ${said.join('')}`);
  const { url } = JSON.parse(String(line[0])) as { url: string };
  return {
    url,
    cpuSeconds: async () => {
      const stat = await readFile(`/proc/${child.pid}/stat`, 'utf8').catch(() => null);
      if (stat === null) return null;
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return (Number(fields[11]) + Number(fields[12])) / 100; // utime and stime, in ticks of 10 ms
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

export interface MadeModel extends AsyncDisposable {
  readonly folder: string;
}

/**
 * A model folder of a named shape with random weights. Its tokenizer is parley-mini's, filled up with tokens that nothing merges into,
 * so that as many can be drawn as the shape has.
 */
export async function makeModel(shape: string): Promise<MadeModel> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-load-'));
  await using backend = await createBackend({ threads: 1 });
  using model = randomModel(backend, shape, 'f32');
  await saveModel(model, folder, { dtype: 'bf16' });
  const donor = await resolveModel('parley-mini');
  await cp(join(donor, 'tokenizer_config.json'), join(folder, 'tokenizer_config.json'));
  const tokenizer = JSON.parse(await readFile(join(donor, 'tokenizer.json'), 'utf8')) as { model: { vocab: Record<string, number> }; added_tokens: { id: number }[] };
  const { vocab } = tokenizer.model;
  const taken = new Set([...Object.values(vocab), ...tokenizer.added_tokens.map(({ id }) => id)]);
  for (let id = 0; id < shapeConfig(shape).vocabSize; id++) if (!taken.has(id)) vocab[`Ġfiller${id}`] = id;
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}
