/** `parley tokenizer train | encode | decode`: make a tokenizer from texts, and see what one does. */
import { type Command, Option } from 'commander';
import type { SplitPattern, Tokenizer, TrainProgress } from '@parley/tokenizer';
import { UsageError } from '../errors.ts';
import { wholeFromOne } from '../flag-values.ts';
import { catchInterrupts } from '../interrupts.ts';

interface TrainFlags {
  vocabSize: number;
  output: string;
  pattern: SplitPattern;
  json?: boolean;
}

interface EncodeFlags {
  tokenizer: string;
  special: 'text' | 'parse';
  addSpecialTokens: boolean;
  json?: boolean;
}

interface DecodeFlags {
  tokenizer: string;
  skipSpecialTokens?: boolean;
  json?: boolean;
}

interface TrainSummary {
  folder: string;
  vocab_size: number;
  documents: number;
  characters: number;
  seconds: number;
}

export function register(program: Command): void {
  const tokenizer = program.command('tokenizer').description('train a tokenizer on texts; turn text into token ids and back');

  tokenizer
    .command('train')
    .description('learn a byte-level BPE vocabulary from texts')
    .argument('<files...>', 'files or folders of .txt, .md and .jsonl (each also .gz or .zst)')
    .requiredOption('--vocab-size <n>', 'tokens to have, the 256 bytes and 3 special tokens included', wholeFromOne)
    .requiredOption('--output <folder>', 'where tokenizer.json and tokenizer_config.json go')
    .addOption(new Option('--pattern <name>', 'how text is split into words').choices(['gpt2', 'gpt4']).default('gpt4'))
    .option('--json', 'print what was made as one JSON object')
    .addHelpText('after', `
Examples:
  $ parley tokenizer train letters/ --vocab-size 4096 --output my-tokenizer
  $ parley tokenizer train books.jsonl.zst notes.txt --vocab-size 8192 --pattern gpt2 --output my-tokenizer`)
    .action(async (files: string[], flags: TrainFlags) => {
      const summary = await train(files, flags);
      const { folder, vocab_size: size, documents, seconds } = summary;
      const short = size < flags.vocabSize ? ` (no pair occurs twice any more: the text has no more than that in it)` : '';
      print(flags.json, summary, `${folder}: ${format(size)} tokens${short} from ${format(documents)} documents in ${seconds.toFixed(1)} s`);
    });

  tokenizer
    .command('encode')
    .description('print the token ids of a text as a JSON array')
    .argument('[text]', 'the text; without it, or with -, what comes in on standard input')
    .requiredOption('--tokenizer <file-or-folder>', 'the tokenizer: tokenizer.json, or a model\'s folder')
    .addOption(new Option('--special <how>', 'special tokens\' names in the text: taken as text, or parsed').choices(['text', 'parse']).default('text'))
    .option('--no-add-special-tokens', 'only the text: nothing the tokenizer puts around it')
    .option('--json', 'print one JSON object with ids and tokens')
    .addHelpText('after', `
Examples:
  $ parley tokenizer encode --tokenizer models/parley-nano "Hello, world"
  $ printf 'from a pipe' | parley tokenizer encode --tokenizer tokenizer.json
  $ parley tokenizer encode --tokenizer models/parley-nano --special parse "<|im_start|>user"`)
    .action(async (argument: string | undefined, flags: EncodeFlags) => {
      const tokenizer = await load(flags.tokenizer);
      const text = argument === undefined || argument === '-' ? await readStandardInput('text') : argument;
      const ids = tokenizer.encode(text, { special: flags.special, addSpecialTokens: flags.addSpecialTokens });
      print(flags.json, { ids, tokens: ids.map((id) => tokenizer.idToToken(id)) }, JSON.stringify(ids));
    });

  tokenizer
    .command('decode')
    .description('print the text of token ids')
    .argument('[ids...]', 'ids as numbers or as a JSON array; without them, what comes in on standard input')
    .requiredOption('--tokenizer <file-or-folder>', 'the tokenizer: tokenizer.json, or a model\'s folder')
    .option('--skip-special-tokens', 'leave special tokens out')
    .option('--json', 'print one JSON object with the text')
    .addHelpText('after', `
Examples:
  $ parley tokenizer decode --tokenizer models/parley-nano 39 68 75
  $ parley tokenizer decode --tokenizer models/parley-nano '[39, 68, 75]'
  $ parley tokenizer encode --tokenizer tokenizer.json "there and back" | parley tokenizer decode --tokenizer tokenizer.json`)
    .action(async (words: string[], flags: DecodeFlags) => {
      const ids = parseIds(words.length > 0 ? words.join(' ') : await readStandardInput('ids'));
      const tokenizer = await load(flags.tokenizer);
      const unknown = ids.find((id) => tokenizer.idToToken(id) === undefined);
      if (unknown !== undefined) throw new UsageError(`${unknown} is not a token of ${flags.tokenizer}, whose ids are from 0 to ${tokenizer.vocabSize - 1}`);
      const text = tokenizer.decode(ids, { skipSpecialTokens: flags.skipSpecialTokens === true });
      print(flags.json, { text }, text);
    });
}

async function train(paths: readonly string[], flags: TrainFlags): Promise<TrainSummary> {
  const { findFiles, plainText, readDocuments } = await import('@parley/data');
  const { PARLEY_SPECIAL_TOKENS, trainTokenizer } = await import('@parley/tokenizer');
  const { saveTokenizer } = await import('@parley/tokenizer/node');
  const smallest = 256 + PARLEY_SPECIAL_TOKENS.length;
  if (flags.vocabSize < smallest) throw new UsageError(`--vocab-size ${flags.vocabSize} has no room for bytes and special tokens: give ${smallest} at least`);
  const files: string[] = [];
  for (const path of paths) files.push(...(await findFiles(path)).files);
  async function* documents(): AsyncGenerator<string> {
    for (const file of files) for await (const document of readDocuments(file)) yield plainText(document);
  }
  const start = performance.now();
  let last: TrainProgress | undefined;
  using interrupts = catchInterrupts();
  const tokenizer = await trainTokenizer(documents(), {
    vocabSize: flags.vocabSize,
    pattern: flags.pattern,
    signal: interrupts.signal,
    onProgress: async (progress) => {
      last = progress;
      showProgress(progress);
      await new Promise<void>((resolve) => {
        setImmediate(resolve); // lets signals in
      });
    },
  });
  await saveTokenizer(tokenizer, flags.output);
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[2K');
  return {
    folder: flags.output,
    vocab_size: tokenizer.vocabSize,
    documents: last?.documents ?? 0,
    characters: last?.characters ?? 0,
    seconds: Number(((performance.now() - start) / 1000).toFixed(3)),
  };
}

function showProgress({ phase, documents, characters, words, threshold, merges, totalMerges }: TrainProgress): void {
  if (!process.stderr.isTTY) return;
  const counted = `${format(documents)} documents, ${format(characters)} characters, ${format(words)} different words`;
  const sampled = threshold > 1 ? ` (rare ones sampled, 1 in ${threshold})` : '';
  process.stderr.write(`\r\u001b[2K${phase === 'count' ? `counting: ${counted}${sampled}` : `merging: ${format(merges)} of ${format(totalMerges)}`}`);
}

async function load(fileOrFolder: string): Promise<Tokenizer> {
  const { loadTokenizer } = await import('@parley/tokenizer/node');
  return loadTokenizer(fileOrFolder);
}

/** `1 2 3`, `1,2,3` or `[1, 2, 3]`. */
function parseIds(text: string): number[] {
  const trimmed = text.trim().replace(/^\[([^[\]]*)\]$/, '$1').trim();
  if (trimmed === '') return [];
  return trimmed.split(/\s*,\s*|\s+/).map((word) => {
    if (!/^\d{1,15}$/.test(word)) throw new UsageError(`"${word}" is not a token id: ids are whole numbers, as 1 2 3 or as [1, 2, 3]`);
    return Number(word);
  });
}

async function readStandardInput(what: string): Promise<string> {
  if (process.stdin.isTTY) throw new UsageError(`no ${what} given: pass it as an argument, or pipe it in`);
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks));
  } catch (cause) {
    throw new UsageError('standard input is not UTF-8', { cause });
  }
}

function print(json: boolean | undefined, object: object, text: string): void {
  process.stdout.write(`${json === true ? JSON.stringify(object) : text}\n`);
}

const format = (value: number): string => value.toLocaleString('en-US');
