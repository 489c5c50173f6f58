// A browser and a stack for the viewer's tests.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { chromium } from 'playwright-core';

import { CIM_OPS, REPOSITORY, scopeOf, start, tempDir, until } from '../system/lib/index.mjs';

export const SCREENS = join(REPOSITORY, 'build/screens');
export const BOARDS = join(REPOSITORY, 'tests/ui/dashboards');

const PORTS = ['nats', 'nats-http', 'prometheus', 'metrics', 'alertmanager', 'web'].flatMap((name) => [
  `--${name}-port`,
  '0',
]);

/** Debian's Chromium, headless; closed when the test ends. */
export async function startBrowser(t) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
  });
  scopeOf(t).after(() => browser.close());
  await mkdir(SCREENS, { recursive: true });
  return browser;
}

/** `cim-ops up --demo` on free ports, with what its parts print as addresses. */
export async function startStack(t) {
  const dir = await tempDir(t, 'viewer');
  const child = start(t, CIM_OPS, ['up', '--demo', '--dir', dir, ...PORTS], {
    name: 'cim-ops up',
    env: { CIM_OPS_SHARE: REPOSITORY, NATS_URL: '', NATS_CREDS: '' },
  });
  const url = (name) => new RegExp(`^\\S+ ${name} running (\\S+)`, 'm').exec(child.stdout)?.[1];
  await until(() => url('web') && url('prometheus') && url('nats') && / demo running/.test(child.stdout), {
    deadline: 60_000,
    alive: child,
    what: 'the stack runs',
  });
  return { dir, child, web: url('web'), prometheus: url('prometheus'), nats: url('nats') };
}

/**
 * A page that keeps what goes wrong in it: `page.wrong`. `options` as for a browser context; `refused: true` lets
 * answers with an error status pass, for tests of what is shown then.
 */
export async function openPage(t, browser, address, { refused = false, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme: 'dark', ...options });
  scopeOf(t).after(() => context.close());
  const page = await context.newPage();
  page.wrong = [];
  page.on('pageerror', (error) => page.wrong.push(error.stack ?? error.message));
  page.on('console', (message) => {
    const text = message.text();
    if (message.type() !== 'error' || (refused && /Failed to load resource/.test(text))) return;
    if (!/Content Security Policy/.test(text)) page.wrong.push(text); // what it stops is the point of the policy
  });
  await page.goto(address);
  return page;
}

/** Scrolls through the page, so that all panels are asked for, and waits until each has its answer. */
export async function panelsOf(page) {
  await page.waitForSelector('[data-panel]');
  const read = () =>
    page.$$eval('[data-panel]', (all) =>
      all.map((one) => ({
        id: one.dataset.panel,
        type: one.dataset.type,
        state: one.dataset.state,
        title: one.getAttribute('aria-label'),
        text: one.innerText,
      })),
    );
  await until(
    async () => {
      for (const { id } of (await read()).filter(({ state }) => state === 'waiting').slice(0, 8)) {
        await page.$eval(`[data-panel="${id}"]`, (one) => one.scrollIntoView({ block: 'center' }));
        await page.evaluate(
          () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))),
        );
      }
      return (await read()).every(({ state }) => state !== 'waiting');
    },
    { deadline: 60_000, every: 100, what: 'every panel has its answer' },
  );
  await page.evaluate(() => scrollTo(0, 0));
  return read();
}

export const shot = (page, name, options) => page.screenshot({ path: join(SCREENS, `${name}.png`), ...options });
