import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStore, storeUrl } from '@parley/server/store';
import { typeHidden } from '../ask.ts';
import { UsageError } from '../errors.ts';
import { moment, table, timeToCome } from '../store-flags.ts';
import { inProcess, parley } from '../testing/cli.ts';
import { register as registerAccounts } from './accounts.ts';
import { register as registerKeys } from './keys.ts';

let data = '';
beforeAll(async () => void (data = await mkdtemp(join(tmpdir(), 'parley-keys-'))));
afterAll(async () => await rm(data, { recursive: true }));

const keys = async (...args: string[]) => await inProcess(registerKeys, ['keys', ...args, '--data', data]);
const accounts = async (...args: string[]) => await inProcess(registerAccounts, ['accounts', ...args, '--data', data]);
const store = async () => await openStore(storeUrl({ data }, {}) ?? '');

test('a key is shown once, listed without its secret, and revoked by id or by name', async () => {
  expect((await keys('list')).stdout).toBe('No keys yet. Make one: parley keys create NAME\n');
  const made = await keys('create', 'my program');
  expect(made.stdout).toMatch(/^pk-parley-[0-9A-Za-z]{43}\n$/);
  expect(made.stderr).toContain(`in SQLite ${join(data, 'parley.sqlite')}. It is not shown again`);
  const limited = JSON.parse((await keys('create', '監視', '--scope', 'metrics', 'models', '--expires', '2w', '--budget', '5000', '--monthly-budget', '400', '--rpm', '3', '--tpm', '20', '--json')).stdout) as Record<string, unknown>;
  expect(limited).toMatchObject({ name: '監視', scopes: ['metrics', 'models'], budgetTokens: 5000, monthlyBudgetTokens: 400, requestsPerMinute: 3, tokensPerMinute: 20 });
  expect(limited['expiresAt']).toBeGreaterThan(Date.now() + 13 * 24 * 3600_000);
  {
    await using opened = await store();
    const record = await opened.keys.verify(made.stdout.trim());
    expect(record?.name).toBe('my program');
    await opened.usage.add({ keyId: record?.id ?? '', model: 'm', promptTokens: 1000, completionTokens: 234, cachedTokens: 0 });
    await opened.responses.put(record?.id ?? '', { id: 'resp_1', previousId: null, input: [], response: {} });
  }
  const { stdout } = await keys('list');
  const lines = stdout.split('\n');
  expect(lines[0]).toMatch(/^NAME +ID +KEY +STATE +SCOPES +TOKENS +LIMITS +LAST USED$/);
  expect(lines[1]).toMatch(/^my program +key_\w{22} +pk-parley-\w{4}… +active +chat,embeddings,models +1,234 +- +20\d\d-/);
  expect(lines[2]).toMatch(/^監視 +key_\w{22} +pk-parley-\w{4}… +active +metrics,models +0 +5,000 in all, 400 a month, 3 rpm, 20 tpm, until 20\d\d-.* +-$/);
  expect(stdout).not.toContain(made.stdout.trim().slice(14));
  expect((await keys('revoke', 'my program', '--erase')).stdout).toMatch(/^Revoked my program \(pk-parley-\w{4}…\); 1 stored responses were deleted\n$/);
  expect((await keys('revoke', String(limited['id']))).stdout).toContain('Revoked 監視');
  expect((JSON.parse((await keys('list', '--json')).stdout) as { state: string }[]).map(({ state }) => state)).toEqual(['revoked', 'revoked']);
  await expect(keys('revoke', 'my program')).rejects.toThrow("there is no key 'my program'");
  await keys('create', 'twin');
  await keys('create', 'twin');
  await expect(keys('revoke', 'twin')).rejects.toThrow("2 keys are named 'twin': revoke by id");
});

test('what is asked wrongly ends with status 2 and says what would be right', async () => {
  await expect(keys('create', ' ')).rejects.toThrow(UsageError);
  await expect(keys('create', 'x', '--expires', '2001-01-01')).rejects.toThrow('the key would have expired already');
  await expect(inProcess(registerKeys, ['keys', 'list', '--data', 'none'])).rejects.toThrow('nothing is kept with --data none');
  await expect(inProcess(registerKeys, ['keys', 'list', '--database', 'mysql://x'])).rejects.toThrow("a database of the kind 'mysql:' is not known");
  const wrong = await parley(['keys', 'create', 'x', '--scope', 'everything', '--data', data]);
  expect(wrong.status).toBe(2);
  expect(wrong.stderr).toContain('Allowed choices are chat, embeddings, models, metrics, admin');
});

test('an account is made with a password from the standard input, listed and removed with what it wrote', async () => {
  expect((await accounts('list')).stdout).toContain('No accounts yet');
  const made = await parley(['accounts', 'create', 'Ann', '--data', data, '--json'], 'correct horse\n');
  expect(made).toMatchObject({ status: 0, stderr: '' });
  const { id } = JSON.parse(made.stdout) as { id: string };
  {
    await using opened = await store();
    expect((await opened.accounts.verify('ann', 'correct horse'))?.id).toBe(id);
    await opened.conversations.create(id, { title: 'hers' });
  }
  const short = await parley(['accounts', 'password', 'ann', '--data', data], 'short');
  expect(short).toMatchObject({ status: 2, stderr: 'parley: the password has 5 characters: it takes 8 or more\n' });
  expect((await accounts('list')).stdout).toMatch(/^NAME +ID +MADE +LAST SIGN-IN\nAnn +acc_\w{22} +20.* +20.*\n$/);
  await expect(accounts('remove', 'bob', '--yes')).rejects.toThrow("there is no account 'bob'");
  expect((await accounts('remove', 'ANN', '--yes')).stdout).toBe('Deleted Ann and what belonged to that account\n');
  await using opened = await store();
  expect((await opened.conversations.list(id)).items).toEqual([]);
});

test('the first account has what was made before there was one, unless it is told to leave it', async () => {
  const make = async (name: string, flags: string[], written: number): Promise<{ stdout: string; left: number }> => {
    const folder = await mkdtemp(join(data, 'first-'));
    await using opened = await openStore(storeUrl({ data: folder }, {}) ?? '');
    for (let i = 0; i < written; i++) await opened.conversations.create('local', { title: `${i}` });
    const { stdout, status } = await parley(['accounts', 'create', name, '--data', folder, ...flags], 'correct horse\n');
    expect(status).toBe(0);
    return { stdout, left: (await opened.conversations.list('local')).items.length };
  };
  const adopting = await make('Ann', [], 2);
  expect(adopting.stdout).toContain('Ann may sign in, acc_');
  expect(adopting.stdout).toContain('Ann, the first account, now has what was made here before: 2 conversations (--no-adopt leaves it)\n');
  expect(adopting.left).toBe(0);
  const leaving = await make('Ann', ['--no-adopt', '--json'], 1);
  expect(JSON.parse(leaving.stdout)).toMatchObject({ name: 'Ann' });
  expect(JSON.parse(leaving.stdout)).not.toHaveProperty('adopted');
  expect(leaving.left).toBe(1);
});

test('small parts: hidden typing, times to come, columns', () => {
  expect(typeHidden('ab', 'c\u007f\u007fd👍')).toEqual({ line: 'ad👍', done: false });
  expect(typeHidden('ad👍', '\u007f\r')).toEqual({ line: 'ad', done: true });
  expect(typeHidden('x', '\u0015y\u0003')).toBeNull();
  expect(timeToCome('2027-01-31')).toBe(Date.UTC(2027, 0, 31));
  expect(() => timeToCome('soon')).toThrow('It takes a time such as');
  expect(table(['A', 'B'], [['漢字', 'x'], ['y', 'z']])).toBe('A     B\n漢字  x\ny     z\n');
  expect(table(['A'], [])).toBe('');
  expect(moment(null)).toBe('-');
});
