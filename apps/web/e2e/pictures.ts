/**
 * Takes docs/page-light.png, page-details.png, page-dark.png and page-phone.png: the page before a real server with the shipped model.
 * Answers are drawn as they come; look at the pictures before keeping them.
 *
 *     npx node apps/web/e2e/pictures.ts        (wants Chromium, and a page that is built)
 */
import { join, resolve } from 'node:path';
import type { Page } from 'playwright-core';
import { answered, launch, missing, openPage, say, serve } from './harness.ts';

if (missing !== null) throw new Error(missing);
const docs = resolve(import.meta.dirname, '../../../docs');

async function ask(page: Page, questions: readonly string[]): Promise<void> {
  for (const [i, question] of questions.entries()) {
    await say(page, question);
    await answered(page, i + 1);
  }
  await page.waitForTimeout(500);
}

const shoot = (page: Page, name: string): Promise<Buffer> => page.screenshot({ path: join(docs, `page-${name}.png`) });

await using server = await serve({ model: 'parley-mini' });
const browser = await launch();
try {
  {
    await using opened = await openPage(browser, server.url);
    await ask(opened.page, ['这条评论是好评还是差评？房间很干净，服务员也很热情。']);
  }
  {
    await using opened = await openPage(browser, server.url);
    const { page } = opened;
    await ask(page, ['Hello! Who are you?', 'Translate into Chinese: I would like a cup of tea.', 'What is the capital of France?']);
    await shoot(page, 'light');
    await page.locator('[data-action=details]').last().click();
    await page.locator('[data-token]').filter({ hasText: 'Paris' }).first().click();
    await page.waitForTimeout(400);
    await shoot(page, 'details');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Escape');
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.waitForTimeout(300);
    await shoot(page, 'dark');
  }
  {
    await using opened = await openPage(browser, server.url, { locale: 'zh-CN', viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true });
    await ask(opened.page, ['你好！你是谁？', '中国的首都是哪里？', '把这句话翻译成英语：我明天要去北京。']);
    await shoot(opened.page, 'phone');
  }
} finally {
  await browser.close();
}
