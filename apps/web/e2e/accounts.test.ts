/** Two people on one Parley, with accounts of their own: Chromium before a real server. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { faultsOf, field, launch, missing, openPage, say, type Served, serve } from './harness.ts';

const command = resolve(import.meta.dirname, '../../../packages/parley/bin/parley.js');
const people = [{ name: 'Ada', password: 'an engine of numbers' }, { name: '李雷', password: '一个很长的密码 42' }] as const;

describe.skipIf(missing !== null)('people with accounts', { timeout: 150_000 }, () => {
  let data = '';
  let server: Served;
  let browser: Browser;

  beforeAll(async () => {
    data = await mkdtemp(join(tmpdir(), 'parley-accounts-'));
    for (const { name, password } of people) execFileSync(process.execPath, [command, 'accounts', 'create', name, '--data', data], { input: `${password}\n` });
    [server, browser] = await Promise.all([serve({ data }), launch()]);
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await server?.[Symbol.asyncDispose]();
    await rm(data, { recursive: true, force: true });
  });

  async function signIn(page: Page, { name, password }: { name: string; password: string }): Promise<void> {
    await page.getByLabel('Name').fill(name);
    await page.getByLabel('Password').fill(password);
    await page.keyboard.press('Enter');
  }

  async function signOut(page: Page): Promise<void> {
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByRole('tab', { name: 'Account' }).click();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('Password').waitFor();
  }

  test('each sees what is theirs, and signing out leaves nothing of a person behind, neither in the page nor on the way back', async () => {
    await using opened = await openPage(browser, server.url);
    const { page } = opened;
    const [ada, lei] = people;
    await signIn(page, { name: ada.name, password: lei.password });
    await page.getByText('The name or the password is not right.').waitFor();
    await signIn(page, ada);
    await say(page, 'A secret of Ada’s');
    await page.locator('.history-link', { hasText: 'secret' }).waitFor();
    const address = page.url();
    expect(await faultsOf(page)).toEqual([]);

    await signOut(page);
    expect(await page.content()).not.toContain('secret');
    await page.goBack().catch(() => null);
    await page.goto(address);
    await page.getByLabel('Password').waitFor();
    expect(await page.content()).not.toContain('secret');
    // What the page asks the server for, nobody gets any more.
    expect(await page.evaluate(async () => (await fetch('/api/conversations')).status)).toBe(401);

    await signIn(page, lei);
    await page.getByText('There is no such conversation').or(field(page)).first().waitFor();
    expect(await page.locator('.history-link').count()).toBe(0);
    expect(await page.content()).not.toContain('secret');
    await signOut(page);
    await signIn(page, ada);
    await page.locator('.history-link', { hasText: 'secret' }).waitFor();
  });
});
