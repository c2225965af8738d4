/** Runs the command line as a process or, which is quicker, one command in this one, and makes a model to run with. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { vi } from 'vitest';
import { Random, ReferenceBackend } from '@parley/engine';
import { llamaConfig, Transformer } from '@parley/model';
import { saveModel } from '@parley/model/node';
import { trainTokenizer } from '@parley/tokenizer';
import { saveTokenizer } from '@parley/tokenizer/node';

const CLI = fileURLToPath(new URL('../cli.ts', import.meta.url));

export interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function parley(args: readonly string[], input: string | Buffer = ''): Promise<Run> {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  child.stdin.end(input);
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { status, ...output };
}

/** A command as `cli.ts` runs it, without a process of its own. What it throws is thrown. */
export async function inProcess(register: (program: Command) => void, args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const output = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) => vi.spyOn(process[name], 'write').mockImplementation((text) => {
    output[name] += String(text);
    return true;
  }));
  try {
    const program = new Command().exitOverride();
    register(program);
    for (const command of program.commands) command.copyInheritedSettings(program);
    await program.parseAsync(args, { from: 'user' });
    return output;
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

/** A folder with an untrained model of a few thousand weights; what it says is noise, but the same noise every time. */
export async function makeModel(options: { contextLength?: number; chat?: boolean } = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-cli-'));
  const specialTokens = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];
  const tokenizer = await trainTokenizer(['the cat sat on the mat and the dog sat on the cat'], {
    vocabSize: 280, specialTokens, pattern: 'gpt4',
  });
  await using backend = new ReferenceBackend();
  using model = Transformer.initialize(backend, llamaConfig({
    vocabSize: tokenizer.vocabSize, contextLength: options.contextLength ?? 128, hiddenSize: 16, heads: 2, keyValueHeads: 1, layers: 1, intermediateSize: 32,
  }), new Random(1));
  await saveModel(model, folder, { generation: { eosTokenIds: [tokenizer.tokenToId('<|im_end|>') ?? 0] } });
  await saveTokenizer(tokenizer, folder);
  if (options.chat === false) {
    const file = join(folder, 'tokenizer_config.json');
    const { chat_template: _, ...config } = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
    await writeFile(file, JSON.stringify(config));
  }
  return folder;
}
