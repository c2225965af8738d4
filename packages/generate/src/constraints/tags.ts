/**
 * Texts with tags in them: free until something opens a tag, then JSON of that tag's schema until it closes. This is how models write
 * calls of functions: a begin that names the function, its arguments, an end.
 */
import type { ConstraintSpec } from './constraint.ts';
import { ConstraintError } from './errors.ts';
import { choice, type Expression, literal, nothing, repeat, sequence, symbol, tagged, textUntil, textWithout } from './grammar.ts';
import { jsonRules, oneLine } from './json.ts';
import { type JsonSchema, schemaGrammar } from './json-schema.ts';

export interface TagsSpec {
  readonly type: 'tags';
  readonly tags: readonly { readonly name: string; readonly begin: string; readonly schema: JsonSchema; readonly end: string }[];
  /**
   * What a text has to write to open tags: the beginning of `open`, or of every `begin` where `open` is empty. Text before the tags is
   * text without it (`anywhere`); with `start`, tags are the whole answer or none of it.
   */
  readonly trigger: string;
  readonly at: 'anywhere' | 'start';
  /** Around the tags and between them. */
  readonly open: string;
  readonly separator: string;
  readonly close: string;
  /** 1: the answer is tags from its first token on. 0: the model may open them. */
  readonly least: 0 | 1;
  /** Tags, at most. */
  readonly most: number;
  /** What an answer without tags has to be; absent: any text. Where it is given, nothing stands before tags. */
  readonly text?: ConstraintSpec | undefined;
}

interface Rules {
  readonly root: Expression;
  readonly rules?: ReadonlyMap<string, Expression>;
}

/** `specialTokens`: what a tag is written with may be tokens of their own. `grammarOf`: for `text`. Throws ConstraintError. */
export function tagsGrammar(spec: TagsSpec, specialTokens: ReadonlyMap<string, number>, grammarOf: (spec: ConstraintSpec) => Rules): Rules {
  const { tags, trigger, at, open, separator, close, least, most, text } = spec;
  if (tags.length === 0) throw new ConstraintError('there are no tags to choose from: name at least one');
  const first = open === '' ? tags.map(({ begin }) => begin) : [open];
  const other = first.find((beginning) => !beginning.startsWith(trigger));
  if (trigger === '' || other !== undefined) {
    throw new ConstraintError(`${JSON.stringify(other ?? '')} does not begin with the trigger ${JSON.stringify(trigger)}: what opens a tag has to`);
  }
  const rules = new Map<string, Expression>(jsonRules);
  const written = (marked: string): Expression => writtenWith(marked, specialTokens);
  const inside = tags.map(({ name, schema, end }, i) => {
    try {
      const grammar = schemaGrammar(schema, `${i} `);
      for (const [rule, expression] of grammar.rules) rules.set(rule, expression);
      // Programs read it: a model that likes to indent spends its tokens on nothing.
      rules.set('space', oneLine);
      return sequence(grammar.root, written(end));
    } catch (error) {
      if (error instanceof ConstraintError) throw new ConstraintError(`${name}: ${error.message}`);
      throw error;
    }
  });
  /** One tag without the first so many characters of its begin. */
  const tag = (skipped: number): Expression => choice(...tags.map(({ begin }, i) => sequence(written(begin.slice(skipped)), inside[i] ?? nothing)));
  const more = most > 1 ? repeat(sequence(written(separator), tag(0)), 0, most - 1) : nothing;
  /** After so many characters of what opens the tags. */
  const all = (skipped: number): Expression =>
    tagged(open === '' ? sequence(tag(skipped), more, written(close)) : sequence(written(open.slice(skipped)), tag(0), more, written(close)));

  if (least === 1) return { root: all(0), rules };
  if (text !== undefined) {
    const plain = grammarOf(text);
    for (const [rule, expression] of plain.rules ?? []) if (rule !== 'space') rules.set(rule, expression);
    return { root: choice(plain.root, all(0)), rules };
  }
  const mark = { text: trigger, token: specialTokens.get(trigger) };
  const opened = at === 'anywhere' ? sequence(textUntil(mark), all(trigger.length)) : all(0);
  return { root: choice(textWithout(mark, at), opened), rules };
}

/** A text's bytes, except that special tokens in it may also be those tokens. */
function writtenWith(text: string, specialTokens: ReadonlyMap<string, number>): Expression {
  const found = [...specialTokens].flatMap(([content, token]) => {
    const index = content === '' ? -1 : text.indexOf(content);
    return index < 0 ? [] : [{ content, token, index }];
  });
  const [first] = found.toSorted((a, b) => a.index - b.index || b.content.length - a.content.length);
  if (first === undefined) return literal(text);
  const { content, token, index } = first;
  return sequence(literal(text.slice(0, index)), choice(symbol(token), literal(content)), writtenWith(text.slice(index + content.length), specialTokens));
}
