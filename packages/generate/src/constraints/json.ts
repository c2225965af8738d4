/** JSON's grammar (RFC 8259), with as little white space as people write: none, one space, or a new line and its indentation. */
import { ANY, type CodePoints, jsonCharacter } from './code-points.ts';
import { choice, type Expression, literal, optional, repeat, rule, sequence } from './grammar.ts';
import { anyNumber } from './numbers.ts';

/** White space between parts: a rule, so that a grammar may have less of it. */
export const space = rule('space');
/** As people write it. Bounded, so that a model cannot spend its tokens on spaces. */
const indented = optional(choice(literal(' '), sequence(literal('\n'), repeat(literal(' '), 0, 24))));
/** All on one line. */
export const oneLine = optional(literal(' '));

const quote = literal('"');
export const quoted = (content: Expression): Expression => sequence(quote, content, quote);
export const jsonString = (least = 0, most = Infinity, characters: CodePoints = ANY): Expression => quoted(repeat(jsonCharacter(characters), least, most));
/** A value as JSON writes it, without white space. */
export const constant = (value: unknown): Expression => literal(JSON.stringify(value));

export const separated = (separator: string): Expression => sequence(space, literal(separator), space);

/** Values in brackets. `items`: what stands between the brackets, its commas included. */
export const bracketed = (open: string, items: Expression, close: string): Expression => sequence(literal(open), space, items, space, literal(close));

export function list(item: Expression, least: number, most: number): Expression {
  if (most === 0) return sequence(literal('['), space, literal(']'));
  const more = repeat(sequence(separated(','), item), Math.max(0, least - 1), most - 1);
  const full = bracketed('[', sequence(item, more), ']');
  return least > 0 ? full : choice(sequence(literal('['), space, literal(']')), full);
}

/** Any JSON: rule names and what they stand for. */
export const jsonRules: ReadonlyMap<string, Expression> = new Map([
  ['space', indented],
  ['value', choice(rule('object'), rule('array'), jsonString(), anyNumber, literal('true'), literal('false'), literal('null'))],
  ['array', list(rule('value'), 0, Infinity)],
  ['member', sequence(jsonString(), separated(':'), rule('value'))],
  ['object', choice(
    sequence(literal('{'), space, literal('}')),
    bracketed('{', sequence(rule('member'), repeat(sequence(separated(','), rule('member')), 0)), '}'),
  )],
]);
