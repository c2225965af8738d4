/** A recipe for somebody's own texts and chats, with nothing asked: every size is derived from how much there is. */
import { basename, resolve } from 'node:path';
import { findFiles, readDocuments, textBytes } from '@parley/data';
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
}

/** What is there. Reads every file once. */
export async function surveyTexts(path: string, signal?: AbortSignal): Promise<OwnText> {
  const { files } = await findFiles(path);
  let documents = 0;
  let conversations = 0;
  let bytes = 0;
  for (const file of files) {
    for await (const document of readDocuments(file, { signal })) {
      documents++;
      if (document.kind === 'conversation') conversations++;
      bytes += textBytes(document);
    }
  }
  return { files: files.length, documents, conversations, bytes };
}

/** Up to so many bytes of text: vocabulary, width, layers. Small texts repeat little, so they carry few tokens and weights. */
const SIZES = [
  { bytes: 300e3, vocabulary: 768, width: 128, layers: 3 },
  { bytes: 2e6, vocabulary: 2048, width: 192, layers: 4 },
  { bytes: 10e6, vocabulary: 4096, width: 256, layers: 4 },
  { bytes: Infinity, vocabulary: 8192, width: 256, layers: 5 },
] as const;

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
  const size = SIZES.find(({ bytes }) => survey.bytes <= bytes) ?? SIZES[3];
  const full = resolve(path);
  const texts = survey.documents > survey.conversations;
  const input: RecipeInput = {
    name: options.name ?? slug(basename(full)),
    description: `Trained on ${survey.files} file${survey.files === 1 ? '' : 's'} (${(survey.bytes / 1e6).toFixed(2)} MB of text).`,
    ...(from === undefined ? { tokenizer: { vocab_size: size.vocabulary } } : {}),
    data: {
      held_out: 0.05,
      sources: [
        ...(texts ? [{ name: 'texts', path: full, only: 'texts' as const, split_characters: 8000 }] : []),
        { name: 'conversations', path: full, dialogue: true, split_characters: 8000 },
      ],
    },
    model: from === undefined ? { hidden_size: size.width, layers: size.layers, heads: size.width / 64, context_length: 256 } : { from },
    stages: [
      {
        name: 'reading', kind: 'pretrain', minutes: minutes * 0.7, max_epochs: 30, batch_tokens: 2048,
        learning_rate: from === undefined ? 3e-3 : 5e-4, eval_every: 100, checkpoint_every: 100, eval_tokens: 8192,
      },
      {
        name: 'talking', kind: 'finetune', data: ['conversations'], minutes: minutes * 0.3, max_epochs: 8, batch_tokens: 2048,
        learning_rate: from === undefined ? 1e-3 : 5e-4, eval_every: 100, checkpoint_every: 100, eval_tokens: 8192,
      },
    ],
  };
  return { recipe: checkRecipe(input, path), survey };
}

/** A file name as a recipe name: `My Letters.txt` → `my-letters`. */
function slug(name: string): string {
  const cleaned = name.replace(/\.(?:txt|md|markdown|text|jsonl|ndjson)?(?:\.(?:gz|zst))?$/i, '').normalize('NFKD').toLowerCase()
    .replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '');
  return cleaned === '' ? 'own-text' : cleaned;
}
