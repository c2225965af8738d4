/** The history, settings, personas, import and export, as a person uses them: Chromium before a real server. Long, as all of it shares one server and its seeds. */
import { readFile } from 'node:fs/promises';
import type { ConversationPage, ListedConversation, Persona } from '@parley/protocol';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { faultsOf, launch, missing, type Opened, openPage, type Served, serve } from './harness.ts';

const DAY = 86_400_000;

interface Seed {
  readonly id: string;
  readonly title: string;
  readonly question: string;
  readonly answer: string;
  readonly daysAgo: number;
  readonly archived?: boolean;
}

/** A file such as an export is. */
function exportOf(seeds: readonly Seed[]) {
  const now = Date.now();
  const conversations = seeds.map(({ id, title, question, answer, daysAgo, archived = false }) => {
    const at = Math.round(now - daysAgo * DAY);
    const rest = { createdAt: at, updatedAt: at, status: 'complete', model: null, finishReason: null, usage: null, details: null };
    return {
      id, title, createdAt: at, updatedAt: at, archived, activeLeaf: `${id}-b`, settings: {},
      messages: [{ id: `${id}-a`, parentId: null, role: 'user', content: question, ...rest }, { id: `${id}-b`, parentId: `${id}-a`, role: 'assistant', content: answer, ...rest }],
    };
  });
  return { format: 'parley-export', version: 1, exportedAt: now, conversations, personas: [] };
}

const seeds: readonly Seed[] = [
  { id: 'bread', title: 'Bread that does not rise', question: 'Why is my bread flat?', answer: 'Give it more time.', daysAgo: 0.01 },
  { id: 'tokyo', title: '东京三日游怎么安排', question: '我想去玩三天。', answer: '第一天去浅草寺。', daysAgo: 0.02 },
  { id: 'pork', title: '红烧肉的做法', question: '怎么做才不腻？', answer: '先焯水，东京的朋友也这样做。', daysAgo: 1.01 },
  { id: 'cat', title: 'Names for a grey cat', question: 'Five names?', answer: 'Ash, Pewter, Misty.', daysAgo: 4 },
  { id: 'old', title: 'Notes on joins', question: 'left join?', answer: 'Keeps the pewter rows.', daysAgo: 400, archived: true },
];

describe.skipIf(missing !== null)('the library', { timeout: 150_000 }, () => {
  let server: Served;
  let browser: Browser;

  beforeAll(async () => {
    [server, browser] = await Promise.all([serve(), launch()]);
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await server?.[Symbol.asyncDispose]();
  });

  const ask = async <T>(path: string, init: RequestInit = {}): Promise<T> => {
    const response = await fetch(`${server.url}/api${path}`, { ...init, headers: { 'content-type': 'application/json' } });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (response.status === 204 ? null : await response.json()) as T;
  };
  const all = async (query = ''): Promise<readonly ListedConversation[]> => (await ask<ConversationPage>(`/conversations?limit=200${query}`)).items;

  /** Only these conversations, and no personas. */
  async function reset(conversations: readonly Seed[] = seeds): Promise<void> {
    for (let items = await all(); items.length > 0; items = await all()) {
      for (const { id } of items) await ask(`/conversations/${id}`, { method: 'DELETE' });
    }
    for (const { id } of await ask<readonly Persona[]>('/personas')) await ask(`/personas/${id}`, { method: 'DELETE' });
    if (conversations.length > 0) await ask('/import', { method: 'POST', body: JSON.stringify(exportOf(conversations)) });
  }

  const open = (options: Parameters<typeof openPage>[2] = {}): Promise<Opened> => openPage(browser, server.url, options);
  const link = (page: Page, name: string) => page.locator('.history-link', { hasText: name });
  const titles = (page: Page): Promise<string[]> => page.locator('.history-words').allTextContents();
  const focused = (page: Page): Promise<string> => page.evaluate(() => document.activeElement?.textContent?.trim() ?? '');
  async function menu(page: Page, title: string, entry: string): Promise<void> {
    await page.locator('.history-row', { hasText: title }).hover();
    await page.getByRole('button', { name: `Actions for “${title}”` }).click();
    await page.getByRole('menuitem', { name: entry, exact: true }).click();
  }
  async function settings(page: Page, tab: string): Promise<void> {
    await page.keyboard.press('Control+,');
    await page.getByRole('tab', { name: tab }).click();
  }
  /** A dialog says that it is closed a moment after it is. */
  async function close(page: Page): Promise<void> {
    await page.keyboard.press('Escape');
    await page.locator('.dialog-content, .palette-field').first().waitFor({ state: 'detached' });
  }

  test('conversations are grouped by date, without those in the archive', async () => {
    await reset();
    await using opened = await open();
    const { page } = opened;
    await link(page, 'cat').waitFor();
    expect(await titles(page)).toEqual(['Bread that does not rise', '东京三日游怎么安排', '红烧肉的做法', 'Names for a grey cat']);
    expect((await page.locator('.history-group').allTextContents())[0]).toBe('Today');
    expect(opened.complaints).toEqual([]);
  });

  test('a search looks in titles, messages and the archive, in Chinese too, and marks what it found', async () => {
    await reset();
    await using opened = await open();
    const { page } = opened;
    await page.keyboard.press('/');
    const field = page.getByRole('searchbox', { name: 'Search conversations' });
    await field.fill('东京');
    await link(page, '红烧肉').locator('.history-excerpt mark').waitFor();
    expect(await titles(page)).toEqual(['东京三日游怎么安排', '红烧肉的做法']);
    expect(await page.locator('mark').allTextContents()).toEqual(expect.arrayContaining(['东京', '东京']));
    await field.fill('pewter');
    await page.getByRole('img', { name: 'Archived' }).waitFor();
    expect(await titles(page)).toEqual(['Names for a grey cat', 'Notes on joins']);
    await page.getByText('2 conversations found').waitFor({ state: 'attached' });
    await field.fill('zzz');
    await page.getByText('Nothing has “zzz” in it.').waitFor();
    await page.keyboard.press('Escape');
    await link(page, 'Bread').waitFor();
    expect(await titles(page)).toHaveLength(4);
    expect(opened.complaints).toEqual([]);
  });

  test('renaming in place is kept, Escape takes it back, and the window is called so', async () => {
    await reset();
    await using opened = await open();
    const { page } = opened;
    await link(page, 'Bread').click();
    await menu(page, 'Names for a grey cat', 'Rename');
    const field = page.getByRole('textbox', { name: 'Title of the conversation' });
    await field.fill('never');
    await field.press('Escape');
    await link(page, 'Names for a grey cat').waitFor();
    await link(page, 'Bread').focus();
    await page.keyboard.press('F2');
    await field.fill('面包');
    await field.press('Enter');
    await link(page, '面包').waitFor();
    await expect.poll(() => page.title()).toBe('面包 – Parley');
    await page.reload();
    await link(page, '面包').waitFor();
    expect((await all('&archived=false')).map(({ title }) => title)).toContain('面包');
  });

  test('archiving can be taken back at once, and later from the archive', async () => {
    await reset();
    await using opened = await open();
    const { page } = opened;
    await menu(page, 'Names for a grey cat', 'Archive');
    await link(page, 'cat').waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Undo' }).click();
    await link(page, 'cat').waitFor();
    await menu(page, 'Names for a grey cat', 'Archive');
    await page.locator('.library-footer').getByRole('button', { name: 'Archive' }).click();
    await link(page, 'cat').waitFor();
    expect(await titles(page)).toEqual(['Names for a grey cat', 'Notes on joins']);
    await menu(page, 'Names for a grey cat', 'Take out of the archive');
    await page.getByRole('button', { name: 'Back to conversations' }).click();
    await link(page, 'cat').waitFor();
    expect((await all('&archived=true')).map(({ id }) => id)).toEqual(['old']);
  });

  test('a deletion can be taken back, asks nothing of the server until then, and is done when the page is left', async () => {
    await reset();
    await using opened = await open();
    const { page } = opened;
    await link(page, 'cat').click();
    await menu(page, 'Names for a grey cat', 'Delete');
    await page.getByText('Conversation deleted').waitFor();
    expect(await titles(page)).not.toContain('Names for a grey cat');
    expect(new URL(page.url()).hash).toBe('#/');
    expect((await all()).map(({ id }) => id)).toContain('cat');
    await page.getByRole('button', { name: 'Undo' }).click();
    await link(page, 'cat').waitFor();
    expect(new URL(page.url()).hash).toBe('#/c/cat');
    await link(page, 'cat').focus();
    await page.keyboard.press('Delete');
    await page.keyboard.press('Delete');
    await page.getByText('2 conversations deleted').waitFor();
    await page.reload();
    await expect.poll(async () => (await all('&archived=false')).map(({ id }) => id)).toEqual(['bread', 'tokyo']);
  });

  test('what is exported comes back by importing, with what a file would bring shown before, and a second time changes nothing', async () => {
    await reset();
    await using opened = await open();
    const { page } = opened;
    await settings(page, 'Your data');
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Export everything' }).click()]);
    expect(download.suggestedFilename()).toMatch(/^parley-\d{4}-\d\d-\d\d\.json$/);
    const file = await download.path();
    const before = JSON.parse(await readFile(file, 'utf8')) as { conversations: object[] };
    expect(before.conversations).toHaveLength(5);
    await reset([]);
    const choose = async (name: string, content: string): Promise<void> => page.getByLabel('Choose a file').setInputFiles({ name, mimeType: 'application/json', buffer: Buffer.from(content) });
    await choose('broken.json', '{"format":\n"parley-export",}');
    await page.getByText('This is not JSON: it breaks off at line 2.').waitFor();
    await choose('other.json', '{"a": 1}');
    await page.getByText('neither an export of Parley nor of ChatGPT').waitFor();
    await choose('parley.json', await readFile(file, 'utf8'));
    await page.getByText('5 conversations · 10 messages').waitFor();
    expect(await all()).toHaveLength(0);
    await page.getByRole('button', { name: 'Import', exact: true }).click();
    await page.getByText('Imported: 5 conversations · 10 messages.').waitFor();
    const after = await ask<{ conversations: object[] }>('/export');
    expect(after.conversations).toEqual(before.conversations);
    await page.getByRole('button', { name: 'Choose another' }).click();
    await choose('parley.json', await readFile(file, 'utf8'));
    await page.getByRole('button', { name: 'Import', exact: true }).click();
    await page.getByText('Everything in the file was there already.').waitFor();
    await close(page);
    await link(page, 'cat').waitFor();
    expect(opened.complaints).toEqual([]);
  });

  test('a file may be dropped', async () => {
    await reset([]);
    await using opened = await open();
    const { page } = opened;
    await settings(page, 'Your data');
    const data = await page.evaluateHandle((text) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([text], 'dropped.json', { type: 'application/json' }));
      return transfer;
    }, JSON.stringify(exportOf(seeds)));
    await page.dispatchEvent('.import-drop', 'drop', { dataTransfer: data });
    await page.getByText('5 conversations · 10 messages').waitFor();
    expect(await page.locator('.import-preview strong').textContent()).toBe('dropped.json');
  });

  test('one conversation is exported as Markdown and as JSON', async () => {
    await reset();
    await using opened = await open();
    const { page } = opened;
    await link(page, 'cat').waitFor();
    const [markdown] = await Promise.all([page.waitForEvent('download'), menu(page, 'Names for a grey cat', 'Export as Markdown')]);
    expect(markdown.suggestedFilename()).toMatch(/\.md$/);
    expect(await readFile(await markdown.path(), 'utf8')).toContain('Ash, Pewter, Misty.');
    const [json] = await Promise.all([page.waitForEvent('download'), menu(page, 'Names for a grey cat', 'Export as JSON')]);
    expect((JSON.parse(await readFile(await json.path(), 'utf8')) as { conversations: { id: string }[] }).conversations.map(({ id }) => id)).toEqual(['cat']);
  });

  test('a persona is written, used for a conversation and sent with it, copied, changed, and deleted', async () => {
    await reset();
    await using opened = await open();
    const { page } = opened;
    await settings(page, 'Personas');
    await page.getByRole('button', { name: 'New persona' }).click();
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('It needs a name.').waitFor();
    await page.getByLabel('Name', { exact: true }).fill('Poet');
    await page.getByLabel('System prompt').fill('Answer in rhyme.');
    // What was written is still there after a slip.
    await close(page);
    await page.keyboard.press('Control+,');
    await page.getByText('Its own way of drawing answers').click();
    await page.getByRole('textbox', { name: 'Temperature' }).fill('0,5');
    await page.getByRole('button', { name: 'Save' }).click();
    const row = page.locator('.persona', { hasText: 'Poet' });
    await row.first().waitFor();
    expect(await ask<readonly Persona[]>('/personas')).toMatchObject([{ name: 'Poet', system: 'Answer in rhyme.', parameters: { temperature: 0.5 } }]);
    await close(page);
    await link(page, 'cat').click();
    await page.getByText('Ash, Pewter, Misty.').waitFor();
    await page.keyboard.press('Control+,');
    await row.getByRole('button', { name: 'Use' }).click();
    await row.getByRole('button', { name: 'In use' }).waitFor();
    await close(page);
    const [request] = await Promise.all([
      page.waitForRequest((each) => each.url().endsWith('/generate')),
      page.getByRole('textbox', { name: 'Message' }).fill('Once more').then(() => page.keyboard.press('Enter')),
    ]);
    expect(request.postDataJSON()).toMatchObject({ parameters: { system: 'Answer in rhyme.', temperature: 0.5 } });
    const detail = await ask<{ settings: object }>('/conversations/cat');
    expect(detail.settings).toMatchObject({ parameters: { system: 'Answer in rhyme.' } });
    await page.keyboard.press('Control+,');
    await page.getByRole('button', { name: 'Actions for “Poet”' }).click();
    await page.getByRole('menuitem', { name: 'Duplicate' }).click();
    await page.getByRole('button', { name: 'Save' }).click();
    await page.locator('.persona').nth(1).waitFor();
    await page.getByRole('button', { name: 'Actions for “Poet”' }).click();
    await page.getByRole('menuitem', { name: 'Delete' }).click();
    await page.getByRole('group').getByRole('button', { name: 'Delete' }).click();
    await expect.poll(async () => (await ask<readonly Persona[]>('/personas')).map(({ name }) => name)).toEqual(['Poet (copy)']);
    await expect.poll(async () => (await ask<{ settings: { parameters?: object } }>('/conversations/cat')).settings.parameters).not.toHaveProperty('system');
  });

  test('settings are kept across a reload, and what cannot be is named and not kept', async () => {
    await reset();
    await using opened = await open();
    const { page } = opened;
    await settings(page, 'Answers');
    const temperature = page.getByRole('textbox', { name: 'Temperature' });
    await temperature.fill('3');
    await page.getByText('Has to be at most 2.').waitFor();
    await temperature.fill('0.35');
    await page.getByRole('slider', { name: 'Top p' }).fill('0.9');
    await page.getByLabel('Stop at').fill('END\\n');
    await page.getByLabel('System prompt').fill('Be brief.');
    await page.getByRole('tab', { name: 'General' }).click();
    await page.getByRole('radio', { name: '中文' }).check();
    await page.getByRole('radio', { name: '深色' }).check();
    await page.reload();
    await page.getByRole('button', { name: '新对话' }).waitFor();
    expect(await page.evaluate(() => [document.documentElement.dataset['theme'], document.documentElement.lang])).toEqual(['dark', 'zh-CN']);
    expect(await page.evaluate(() => (JSON.parse(localStorage.getItem('parley.preferences') ?? '{}') as { chat?: { parameters?: object } }).chat?.parameters))
      .toEqual({ temperature: 0.35, top_p: 0.9, stop: ['END\n'], system: 'Be brief.' });
    await page.keyboard.press('Control+,');
    await page.getByRole('tab', { name: '回答' }).click();
    expect(await page.getByRole('textbox', { name: '温度' }).inputValue()).toBe('0.35');
    await page.getByRole('button', { name: '重置温度' }).click();
    expect(await page.getByRole('textbox', { name: '温度' }).inputValue()).toBe('');
    await page.getByRole('button', { name: '全部重置' }).click();
    await expect.poll(() => page.evaluate(() => (JSON.parse(localStorage.getItem('parley.preferences') ?? '{}') as { chat?: { parameters?: object } }).chat?.parameters)).toEqual({ system: 'Be brief.' });
    expect(opened.complaints).toEqual([]);
  });

  test('a temporary chat is marked and leaves nothing behind', async () => {
    await reset();
    await using opened = await open({ preferences: { chat: { parameters: { max_tokens: 8 } } } });
    const { page } = opened;
    await link(page, 'cat').waitFor();
    const before = await ask('/export').then((file) => (file as { conversations: object }).conversations);
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox').fill('temporary');
    await page.keyboard.press('Enter');
    await page.getByText('Not kept', { exact: true }).waitFor();
    await page.getByRole('textbox', { name: 'Message' }).fill('A secret of mine');
    await Promise.all([page.waitForResponse((each) => each.url().endsWith('/temporary/generate')), page.keyboard.press('Enter')]);
    await page.locator('[data-action=stop]').waitFor({ state: 'detached' });
    await page.getByText('A secret of mine').first().waitFor();
    expect(await ask('/export').then((file) => (file as { conversations: object }).conversations)).toEqual(before);
    expect(await all('&search=secret')).toEqual([]);
    expect(await page.evaluate(() => [localStorage, sessionStorage].flatMap((storage) => Array.from({ length: storage.length }, (_, i) => storage.getItem(storage.key(i) ?? ''))).join(' '))).not.toContain('secret');
    await page.reload();
    await link(page, 'cat').waitFor();
    expect(await page.getByText('A secret of mine').count()).toBe(0);
  });

  test('everything in the history is reached by keys alone', async () => {
    await reset();
    await using opened = await open();
    const { page } = opened;
    await link(page, 'cat').waitFor();
    await page.keyboard.press('Escape');
    await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
    await page.keyboard.press('/');
    await expect.poll(() => page.getByRole('searchbox').evaluate((field) => field === document.activeElement)).toBe(true);
    await page.keyboard.press('ArrowDown');
    await expect.poll(() => focused(page)).toBe('Bread that does not rise');
    await page.keyboard.press('End');
    await expect.poll(() => focused(page)).toBe('Names for a grey cat');
    await page.keyboard.press('ArrowUp');
    await expect.poll(() => focused(page)).toBe('红烧肉的做法');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('menuitem', { name: 'Rename' }).waitFor();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await link(page, '红烧肉').waitFor({ state: 'detached' });
    await link(page, 'Bread').focus();
    await page.keyboard.press('Home');
    await page.keyboard.press('Delete');
    await expect.poll(() => focused(page)).toBe('东京三日游怎么安排');
    await page.keyboard.press('Enter');
    await page.getByText('第一天去浅草寺。').waitFor();
    await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
    await close(page);
    await page.keyboard.press('Control+k');
    await page.keyboard.type('浅草寺');
    await page.getByRole('option', { name: /浅草寺/ }).waitFor();
    await close(page);
    await page.keyboard.press('Control+Shift+S');
    await page.locator('.library').waitFor({ state: 'detached' });
    await page.keyboard.press('Control+Shift+S');
    await link(page, 'cat').waitFor();
    expect(opened.complaints).toEqual([]);
  });

  test('2,000 conversations are scrolled through with fewer than 80 rows in the document', async () => {
    const many = Array.from({ length: 2000 }, (_, i): Seed => ({ id: `n${i}`, title: `Conversation ${i}`, question: 'q', answer: 'a', daysAgo: i / 20 }));
    await reset([]);
    for (let from = 0; from < many.length; from += 500) await ask('/import', { method: 'POST', body: JSON.stringify(exportOf(many.slice(from, from + 500))) });
    await using opened = await open();
    const { page } = opened;
    await link(page, 'Conversation 0').first().waitFor();
    await link(page, 'Conversation 0').first().focus();
    const started = performance.now();
    await expect.poll(async () => {
      await page.keyboard.press('End');
      return focused(page);
    }, { timeout: 50_000, interval: 50 }).toBe('Conversation 1999');
    const all = performance.now() - started;
    expect(await page.locator('.history-row').count()).toBeLessThan(80);
    const { frames, slow } = await page.evaluate(async () => {
      const scroller = document.querySelector('.history-scroll') as HTMLElement;
      const times: number[] = [];
      for (let i = 0, before = performance.now(); i < 60; i++) {
        scroller.scrollTop = (scroller.scrollHeight * ((i * 37) % 60)) / 60;
        await new Promise(requestAnimationFrame);
        times.push(performance.now() - before);
        before = performance.now();
      }
      times.sort((a, b) => a - b);
      return { frames: times[30] ?? 0, slow: times[57] ?? 0 };
    });
    console.log(JSON.stringify({ conversations: 2000, toTheEndMs: Math.round(all), jumpMs: Math.round(frames), jumpP95Ms: Math.round(slow) }));
    const rows = await page.evaluate(() => [...document.querySelectorAll('.history-row')].map((row) => [Number((row as HTMLElement).style.top.replace('px', '')), row.getAttribute('aria-posinset')] as const));
    expect(new Set(rows.map(([, position]) => position)).size).toBe(rows.length);
    expect(opened.complaints).toEqual([]);
    await reset([]);
  }, 120_000);

  test('on a phone the history is a drawer that keeps the focus, follows a finger, and closes on Escape', async () => {
    await reset();
    await using opened = await open({ viewport: { width: 360, height: 720 }, hasTouch: true, isMobile: true, locale: 'zh-CN' });
    const { page } = opened;
    await page.getByRole('button', { name: '显示历史' }).click();
    const drawer = page.getByRole('dialog', { name: '历史' });
    await drawer.waitFor();
    for (let i = 0; i < 12; i++) {
      await page.keyboard.press('Tab');
      // The browser's own bar takes its turn after the last.
      expect(await page.evaluate(() => document.activeElement === document.body || document.activeElement?.closest('.library-drawer') !== null)).toBe(true);
    }
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
    await page.keyboard.press('Escape');
    await drawer.waitFor({ state: 'hidden' });
    const session = await page.context().newCDPSession(page);
    const finger = (type: 'touchStart' | 'touchMove' | 'touchEnd', x: number) => session.send('Input.dispatchTouchEvent', { type, touchPoints: type === 'touchEnd' ? [] : [{ x, y: 300 }] });
    const swipe = async (from: number, to: number): Promise<void> => {
      await finger('touchStart', from);
      for (let i = 1; i <= 6; i++) await finger('touchMove', from + ((to - from) * i) / 6);
      await finger('touchEnd', to);
    };
    await swipe(5, 250);
    await drawer.waitFor();
    await swipe(250, 20);
    await drawer.waitFor({ state: 'hidden' });
    await page.getByRole('button', { name: '显示历史' }).click();
    // Not by a tap: one that follows a swipe this closely only ends its momentum.
    await link(page, 'cat').click();
    await drawer.waitFor({ state: 'hidden' });
    await page.getByText('Ash, Pewter, Misty.').waitFor();
    expect(opened.complaints).toEqual([]);
  });

  test.each(['light', 'dark'] as const)('axe finds nothing in the history, settings, palette and drawer (%s)', async (colorScheme) => {
    await reset();
    await ask('/personas', { method: 'POST', body: JSON.stringify({ name: 'Poet', system: 'Rhyme.' }) });
    await using opened = await open({ colorScheme });
    const { page } = opened;
    await link(page, 'cat').click();
    await page.getByRole('searchbox').fill('pewter');
    await page.locator('mark').first().waitFor();
    expect(await faultsOf(page)).toEqual([]);
    for (const tab of ['General', 'Answers', 'Personas', 'Your data', 'Keyboard']) {
      await settings(page, tab);
      expect([tab, await faultsOf(page)]).toEqual([tab, []]);
      await close(page);
    }
    await page.keyboard.press('Control+k');
    await page.keyboard.type('e');
    expect(await faultsOf(page)).toEqual([]);
    await close(page);
    await page.setViewportSize({ width: 360, height: 720 });
    await page.getByRole('button', { name: 'Show the history' }).click();
    await link(page, 'cat').waitFor();
    expect(await faultsOf(page)).toEqual([]);
  }, 180_000);

  test('where a sign-in is required, what is wrong with it is said, and it leads to the conversations', async () => {
    await reset();
    await using opened = await open();
    const { page } = opened;
    const session = (user: object | null) => JSON.stringify({ user, signInRequired: true, locale: 'en', version: 'x' });
    await page.route('**/api/session', (route) => {
      const request = route.request();
      if (request.method() === 'GET') return route.fulfill({ contentType: 'application/json', body: session(null) });
      const { password } = request.postDataJSON() as { password: string };
      if (password === 'right password') return route.fulfill({ contentType: 'application/json', body: session({ id: 'acc_1', name: 'Ada' }) });
      return route.fulfill({ status: 401, contentType: 'application/json', body: JSON.stringify({ error: { message: 'no', type: 'authentication_error', param: null, code: null } }) });
    });
    await page.reload();
    await page.getByLabel('Name').fill('Ada');
    await page.getByLabel('Password').fill('wrong');
    await page.keyboard.press('Enter');
    await page.getByText('The name or the password is not right.').waitFor();
    expect(await page.locator('.library').count()).toBe(0);
    expect(await faultsOf(page)).toEqual([]);
    await page.getByLabel('Password').fill('right password');
    await page.keyboard.press('Enter');
    await link(page, 'cat').waitFor();
    await settings(page, 'Account');
    await page.getByText('Signed in as Ada').waitFor();
  });
});
