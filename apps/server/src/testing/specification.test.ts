import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { EXTRACT, extract } from './openai-schemas.ts';
import { conforms } from './specification.ts';

const SPECIFICATION = resolve(import.meta.dirname, '../../../../../shared/api/openai-openapi.json');

test.skipIf(!existsSync(SPECIFICATION))('the committed schemas are what the script makes of the specification (skipped where that is absent)', () => {
  expect(readFileSync(EXTRACT, 'utf8')).toBe(extract(JSON.parse(readFileSync(SPECIFICATION, 'utf8')) as Parameters<typeof extract>[0]));
});

test('an answer that lacks a field, has a wrong one or an unknown reason is refused', () => {
  const answer = {
    id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: 'm',
    choices: [{ index: 0, message: { role: 'assistant', content: 'Hi', refusal: null }, logprobs: null, finish_reason: 'stop' }],
  };
  conforms('CreateChatCompletionResponse', answer);
  const [choice] = answer.choices;
  for (const wrong of [
    { ...answer, id: undefined }, { ...answer, object: 'chat' }, { ...answer, created: 'now' }, { ...answer, choices: [{ ...choice, finish_reason: 'tired' }] },
    { ...answer, choices: [{ ...choice, message: { content: 'Hi', refusal: null } }] },
  ]) expect(() => conforms('CreateChatCompletionResponse', JSON.parse(JSON.stringify(wrong)))).toThrow('CreateChatCompletionResponse');
  expect(() => conforms('ErrorResponse', { error: { message: 'no' } })).toThrow('required');
  conforms('ErrorResponse', { error: { message: 'no', type: 'server_error', param: null, code: null } });
  conforms('ResponseStreamEvent', { type: 'response.output_text.delta', item_id: 'i', output_index: 0, content_index: 0, delta: 'a', sequence_number: 3, logprobs: [] });
  expect(() => conforms('ResponseStreamEvent', { type: 'response.output_text.delta', delta: 'a' })).toThrow('ResponseStreamEvent');
  expect(() => conforms('Nothing', {})).toThrow('no schema Nothing');
});
