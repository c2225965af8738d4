/** A recipe for somebody's own texts and chats, with nothing asked: every size is derived from how much there is. */
import { basename, resolve } from 'node:path';
import { dialogues, findFiles, readDocuments, textBytes } from '@parley/data';
import { checkRecipe, type Recipe, type RecipeInput } from './recipe.ts';
import { TrainError } from './errors.ts';

export interface OwnTextOptions {
  /** Default: after the file or folder. */
  readonly name?: string | undefined;
  /** About how long training may take on this machine. Default 5. */
  readonly minutes?: number | undefined;
  /** A model to start from, instead of fresh weights and a tokenizer of its own. */
  readonly from?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface OwnText {
  readonly files: number;
  readonly documents: number;
  readonly conversations: number;
  readonly bytes: number;
  /** Whether there are conversations, or texts that conversations can be made of. */
  readonly speaks: boolean;
}

/** What is there. Reads every file once. */
export async function surveyTexts(path: string, signal?: AbortSignal): Promise<OwnText> {
  const { files } = await findFiles(path);
  let documents = 0;
  let conversations = 0;
  let bytes = 0;
  let speaks = false;
  for (const file of files) {
    for await (const document of readDocuments(file, { signal })) {
      documents++;
      if (document.kind === 'conversation') conversations++;
      bytes += textBytes(document);
      speaks ||= document.kind === 'conversation' || dialogues(document).next().done !== true;
    }
  }
  return { files: files.length, documents, conversations, bytes, speaks };
}

/** Vocabulary, width and layers by how much text there is (bytes up to); weights are what that makes, in millions. */
const SIZES = [
  { bytes: 200e3, vocabulary: 512, width: 96, layers: 3, weights: 0.38 },
  { bytes: 2e6, vocabulary: 1024, width: 128, layers: 3, weights: 0.72 },
  { bytes: 6e6, vocabulary: 2048, width: 192, layers: 4, weights: 2.2 },
  { bytes: 20e6, vocabulary: 4096, width: 256, layers: 4, weights: 4.2 },
  { bytes: Infinity, vocabulary: 8192, width: 256, layers: 5, weights: 5.8 },
] as const;

/** What two cores do in practice, floating-point operations a second. Only sizes are chosen by it; time is measured. */
const ASSUMED_SPEED = 30e9;

/**
 * The largest model that has enough text, and the time to see at least two and a half tokens for each of its weights (a
 * token costs six operations a weight): in less, a smaller one gets further.
 */
function chooseSize(bytes: number, minutes: number): (typeof SIZES)[number] {
  const enoughText = SIZES.findIndex((size) => bytes <= size.bytes);
  const enoughTime = SIZES.findLastIndex(({ weights }) => 6 * 2.5 * (weights * 1e6) ** 2 <= minutes * 60 * ASSUMED_SPEED);
  return SIZES[Math.max(0, Math.min(enoughText, enoughTime))] ?? SIZES[0];
}

/** With fewer documents nothing is held out, and so no held-out loss measured. */
const LEAST_DOCUMENTS = 20;

/** Less text than this makes no model worth the name. */
const LEAST_BYTES = 2_000;

/**
 * The recipe. First the texts are learned as they are; then, as conversations: the chats that are there, and of plain texts
 * successive passages, so that the model answers by going on in their manner.
 */
export async function ownTextRecipe(path: string, options: OwnTextOptions = {}): Promise<{ recipe: Recipe; survey: OwnText }> {
  const survey = await surveyTexts(path, options.signal);
  if (survey.bytes < LEAST_BYTES) {
    throw new TrainError(`${path} holds ${survey.bytes} bytes of text: at least ${LEAST_BYTES}, better a megabyte, are needed to learn from`);
  }
  const { minutes = 5, from } = options;
  const size = chooseSize(survey.bytes, minutes);
  const full = resolve(path);
  const texts = survey.documents > survey.conversations;
  const input: RecipeInput = {
    name: options.name ?? slug(basename(full)),
    description: `Trained on ${survey.files} file${survey.files === 1 ? '' : 's'} (${(survey.bytes / 1e6).toFixed(2)} MB of text).`,
    ...(from === undefined ? { tokenizer: { vocab_size: size.vocabulary } } : {}),
    data: {
      // Whole documents are held out: of a few, that would be none, or all.
      held_out: survey.documents < LEAST_DOCUMENTS ? 0 : 0.05,
      sources: [
        ...(texts ? [{ name: 'texts', path: full, only: 'texts' as const, split_characters: 8000 }] : []),
        ...(survey.speaks ? [{ name: 'conversations', path: full, dialogue: true, split_characters: 8000 }] : []),
      ],
    },
    model: from === undefined ? { hidden_size: size.width, layers: size.layers, heads: size.width / 32, context_length: 256 } : { from },
    stages: [
      {
        name: 'reading', kind: 'pretrain', minutes: minutes * 0.7, max_epochs: 30, batch_tokens: 1024,
        learning_rate: from === undefined ? 3e-3 : 5e-4, eval_every: 100, checkpoint_every: 100, eval_tokens: 8192,
      },
      ...(survey.speaks ? [{
        name: 'talking', kind: 'finetune' as const, data: ['conversations'], minutes: minutes * 0.3, max_epochs: 8, batch_tokens: 1024,
        learning_rate: from === undefined ? 1e-3 : 5e-4, eval_every: 100, checkpoint_every: 100, eval_tokens: 8192,
      }] : []),
    ],
  };
  return { recipe: checkRecipe(input, path), survey };
}

/** A file name as a recipe name: `My Letters.txt` → `my-letters`. */
function slug(name: string): string {
  const cleaned = name.replace(/\.(?:txt|md|markdown|text|jsonl|ndjson)?(?:\.(?:gz|zst))?$/i, '').normalize('NFKD').replace(/\p{M}+/gu, '').toLowerCase()
    .replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '');
  return cleaned === '' ? 'own-text' : cleaned;
}
