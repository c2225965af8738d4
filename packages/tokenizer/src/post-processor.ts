/** Hugging Face's `post_processor`: what `addSpecialTokens` puts around a text, like a token at its beginning. */
import { TokenizerFormatError } from './errors.ts';
import { Fields } from './fields.ts';

/** Ids before and after the text. */
export interface PostProcessor {
  before: readonly number[];
  after: readonly number[];
}

const NONE: PostProcessor = { before: [], after: [] };

/**
 * Reads a `post_processor`: none, ByteLevel (which is about offsets), TemplateProcessing, BertProcessing, RobertaProcessing, or a Sequence of them.
 * @throws TokenizerFormatError for any other type.
 */
export function parsePostProcessor(json: unknown, path = 'post_processor'): PostProcessor {
  if (json === null || json === undefined) return NONE;
  const fields = new Fields(json, path);
  const type = fields.string('type');
  let result = NONE;
  if (type === 'Sequence') {
    for (const [i, child] of fields.array('processors').entries()) {
      const inner = parsePostProcessor(child, `${path}.processors[${i}]`);
      result = { before: [...inner.before, ...result.before], after: [...result.after, ...inner.after] };
    }
  } else if (type === 'TemplateProcessing') {
    result = parseTemplate(fields);
  } else if (type === 'ByteLevel') {
    fields.skip('add_prefix_space', 'trim_offsets', 'use_regex');
  } else if (type === 'BertProcessing' || type === 'RobertaProcessing') {
    result = { before: [boundary(fields, 'cls')], after: [boundary(fields, 'sep')] };
    fields.skip('add_prefix_space', 'trim_offsets');
  } else {
    fields.refuse('type', 'Parley knows ByteLevel, TemplateProcessing, BertProcessing, RobertaProcessing and Sequence');
  }
  fields.finish();
  return result;
}

/** The id of a token given as [token, id]. */
function boundary(fields: Fields, name: string): number {
  const [token, id] = fields.array(name);
  return typeof token === 'string' && typeof id === 'number' ? id : fields.refuse(name, 'expected a token and its id');
}

function parseTemplate(fields: Fields): PostProcessor {
  fields.skip('pair'); // for two texts at once, which Parley does not encode
  const idsOf = new Map<string, number[]>();
  for (const [name, value] of fields.object('special_tokens').entries()) {
    const token = new Fields(value, fields.at(`special_tokens[${JSON.stringify(name)}]`));
    token.skip('id', 'tokens');
    const ids = token.array('ids').map((id) => (typeof id === 'number' ? id : token.refuse('ids', 'expected a list of ids')));
    token.finish();
    idsOf.set(name, ids);
  }
  const before: number[] = [];
  const after: number[] = [];
  let sequences = 0;
  fields.array('single').forEach((value, i) => {
    const path = fields.at(`single[${i}]`);
    const piece = new Fields(value, path);
    if (piece.get('Sequence') !== undefined) {
      sequences++;
    } else {
      const name = piece.object('SpecialToken').string('id');
      const ids = idsOf.get(name);
      if (ids === undefined) throw new TokenizerFormatError(path, `names ${JSON.stringify(name)}, which special_tokens does not have`);
      (sequences === 0 ? before : after).push(...ids);
    }
    piece.finish();
  });
  if (sequences !== 1) throw new TokenizerFormatError(fields.at('single'), `has the text ${sequences} times: expected once`);
  return { before, after };
}
