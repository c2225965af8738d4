import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseServerConfig, readServerConfig } from './config.ts';

test('a configuration says all that flags say; paths are relative to the file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'parley-config-'));
  try {
    const file = join(folder, 'parley.yaml');
    await writeFile(file, `
models: [parley-mini, ./runs/mine/model]
aliases: { gpt-4o-mini: parley-mini }
providers:
  - { name: openai, baseUrl: https://api.openai.com/v1, keyEnv: OPENAI_API_KEY }
  - { name: lab, baseUrl: https://lab.example/v1, keyFile: keys/lab }
host: 0.0.0.0
cors: [https://app.example]
data: kept
limits: { requestsPerMinute: 60, connections: 100 }
log: json
`);
    expect(await readServerConfig(file)).toMatchObject({
      models: ['parley-mini', join(folder, 'runs/mine/model')], data: join(folder, 'kept'), limits: { requestsPerMinute: 60 }, log: 'json', providers: [{ name: 'openai' }, { name: 'lab', keyFile: join(folder, 'keys/lab') }],
    });
    expect(parseServerConfig('')).toEqual({});
    await expect(readServerConfig(join(folder, 'none.yaml'))).rejects.toThrow('cannot be read');
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.each([
  ['prot: 9000', 'unknown field prot (is it port?)'],
  ['port: 8080\nlimits:\n  requestPerMinute: 3', 'unknown field limits.requestPerMinute (is it requestsPerMinute?)'],
  ['port: 70000', 'line 1, port: '],
  ['cors: ["*"]', 'has to be an origin such as https://app.example'],
  ['log: loud', 'log: '],
  ['- a list', 'the file: '],
  ['port: [', 'configuration: '],
])('%s is refused, naming what is wrong', (text, message) => {
  expect(() => parseServerConfig(text)).toThrow(message);
});
