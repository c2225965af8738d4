import { expect, test } from 'vitest';
import { ImportError, type ImportFault, previewImport } from './import-check.ts';

const faultOf = (text: string): ImportFault | undefined => {
  try {
    previewImport(text);
    return undefined;
  } catch (error) {
    if (error instanceof ImportError) return error.fault;
    throw error;
  }
};

const parley = (fields: object = {}): string => JSON.stringify({
  format: 'parley-export', version: 1, exportedAt: 0, conversations: [{ id: 'a', title: 'Tea', updatedAt: 5, messages: [{}, {}] }], personas: [{ id: 'p', name: '诗人' }], ...fields,
});

test('an export of Parley is counted', () => {
  expect(previewImport(`\uFEFF${parley()}`)).toMatchObject({ format: 'parley', conversations: [{ title: 'Tea', messages: 2, at: 5 }], messages: 2, personas: ['诗人'] });
});

test('of ChatGPT\'s export, what a person or the assistant said is counted', () => {
  const node = (role: string, parts: unknown[]) => ({ message: { author: { role }, content: { content_type: 'text', parts } } });
  const file = [{ title: 'Trip', create_time: 1.5, mapping: { root: { message: null }, a: node('system', ['x']), b: node('user', ['Hi']), c: node('assistant', ['']), d: node('assistant', ['Hello']) } }];
  expect(previewImport(JSON.stringify(file))).toMatchObject({ format: 'chatgpt', conversations: [{ title: 'Trip', messages: 2, at: 1500 }], messages: 2 });
});

test.each([
  ['', { kind: 'empty' }],
  [' \n', { kind: 'empty' }],
  ['PK\u0003\u0004\u0014', { kind: 'zip' }],
  ['{"format": "parley-export",\n "version": }', { kind: 'json', line: 2 }],
  ['7', { kind: 'unknown' }],
  ['{"name": 1}', { kind: 'unknown', fields: 'name' }],
  ['[1]', { kind: 'unknown' }],
  ['[]', { kind: 'nothing' }],
  [parley({ version: 2 }), { kind: 'version', version: '2' }],
  [parley({ conversations: 3 }), { kind: 'damaged', where: 'conversations' }],
  [parley({ conversations: [{ title: 'x', messages: [] }, {}] }), { kind: 'damaged', where: 'conversations[1]' }],
  [parley({ personas: [{}] }), { kind: 'damaged', where: 'personas[0]' }],
  [parley({ conversations: [], personas: [] }), { kind: 'nothing' }],
] as const)('what is wrong with %j is named', (text, fault) => {
  expect(faultOf(text)).toMatchObject(fault);
});
