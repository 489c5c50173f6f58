// The viewer in a real browser, on a real stack. Pictures of what it shows: build/screens.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';

import { jetstream } from '@nats-io/jetstream';

import { cimOps, connectNats, query, startWeb, tempDir, until } from '../system/lib/index.mjs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BOARDS, openPage, panelsOf, shot, startBrowser, startStack } from './lib.mjs';

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
const WIDTHS = [
  ['desktop', {}],
  ['phone', PHONE],
];

const overflow = (page) => page.evaluate(() => document.scrollingElement.scrollWidth - innerWidth);
const untilPage = (page, condition, what, argument) =>
  until(() => page.evaluate(condition, argument), { deadline: 30_000, every: 50, what });

test('the viewer', { timeout: 600_000 }, async (t) => {
  const stack = await startStack(t),
    browser = await startBrowser(t);
  const web = await startWeb(t, {
    nats: stack.nats,
    prometheus: stack.prometheus,
    args: ['--dashboards', BOARDS, '--stack', stack.dir],
  });
  // Rates need two scrapes, five seconds apart.
  await until(
    async () =>
      (await query(stack.prometheus, 'sum(rate(cim_events_total[1m])) > 0')).length > 0 &&
      (await query(stack.prometheus, 'rate(cim_host_cpu_seconds_total[20s] offset 15s) > 0')).length > 0,
    { deadline: 90_000, every: 500, what: 'rates' },
  );

  await t.test('every kind of panel shows its data, and what is wrong where it cannot', async (t) => {
    const page = await openPage(t, browser, `${web.url}/d/every-panel`, { refused: true });
    const panels = await panelsOf(page);
    const faulty = /^(Logs|A wrong query)$/;
    for (const { title, state, text } of panels) {
      assert.equal(state, faulty.test(title) ? 'failed' : 'shown', `${title}: ${text}`);
    }
    assert.match(panels.find(({ title }) => title === 'A wrong query').text, /unclosed left parenthesis/);
    assert.ok(
      panels.some(({ title }) => title === 'Types of workflow'),
      'rows repeat by variable',
    );
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    assert.deepEqual(page.wrong, []);
    await shot(page, 'every-panel', { fullPage: true });
  });

  await t.test('figures on the screen are those of Prometheus', async (t) => {
    const at = Math.floor(Date.now() / 1000) - 1;
    const page = await openPage(
      t,
      browser,
      `${web.url}/d/every-panel?from=${(at - 60) * 1000}&to=${at * 1000}&refresh=`,
      { refused: true },
    );
    const panels = await panelsOf(page);
    const asked = new URLSearchParams({ query: 'sum by (stream) (cim_monitor_stream_sequence)', time: at });
    const answer = await (await fetch(`${stack.prometheus}/api/v1/query?${asked}`)).json();
    const table = panels.find(({ title }) => title === 'Streams').text;
    assert.equal(answer.data.result.length, 2);
    for (const { metric, value } of answer.data.result)
      assert.match(table, new RegExp(`${metric.stream}\\s+${value[1]}\\b`));
  });

  await t.test('zoom, variables, refresh, shared crosshair', async (t) => {
    const page = await openPage(t, browser, `${web.url}/d/every-panel?refresh=&from=now-30s&to=now`, { refused: true });
    await panelsOf(page);
    const plot = page.locator('[data-panel] .u-over').first();
    await plot.scrollIntoViewIfNeeded();
    const box = await plot.boundingBox();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 40);
    await untilPage(
      page,
      () =>
        [...document.querySelectorAll('.u-cursor-x')].filter((one) => /translate\([1-9]/.test(one.style.transform))
          .length > 1,
      'the crosshair is in another panel, too',
    );
    await page.mouse.move(box.x + box.width * 0.3, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.6, box.y + 40, { steps: 5 });
    await page.mouse.up();
    await untilPage(page, () => /from=\d{13}&to=\d{13}/.test(location.search), 'the zoomed range is in the address');
    const [from, to] = ['from', 'to'].map((name) => Number(new URL(page.url()).searchParams.get(name)));
    assert.ok(to - from > 5_000 && to - from < 13_000, `about a third of 30 s: ${to - from} ms`);
    // Again: the axis is that of the zoomed range.
    const zoomed = page.url();
    await panelsOf(page);
    await page.mouse.move(box.x + box.width * 0.25, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.75, box.y + 40, { steps: 5 });
    await page.mouse.up();
    await until(() => page.url() !== zoomed, { deadline: 30_000, what: 'zoomed again' });
    const [from2, to2] = ['from', 'to'].map((name) => Number(new URL(page.url()).searchParams.get(name)));
    const halves = (to2 - from2) / (to - from);
    assert.ok(from2 > from && to2 < to && halves > 0.4 && halves < 0.6, `half of what was shown: ${halves}`);

    await page.getByRole('button', { name: /agent \+ workflow/ }).click();
    await page.getByRole('option', { name: 'workflow', exact: true }).click();
    await page.keyboard.press('Escape');
    await untilPage(
      page,
      () => new URL(location.href).searchParams.getAll('var-domain').join() === 'agent',
      'the choice is in the address',
    );
    await untilPage(page, () => !document.body.innerText.includes('Types of workflow'), 'its row is gone');

    const asked = [];
    page.on('request', (request) => request.url().includes('/query') && asked.push(request.url()));
    await page.goto(`${web.url}/d/every-panel?refresh=1s`);
    await panelsOf(page);
    const before = asked.length;
    await until(() => asked.length > before + 10, { deadline: 20_000, what: 'panels are asked for again' });
    assert.deepEqual(page.wrong, []);
  });

  await t.test('pages at desktop and phone width, dark and light', async (t) => {
    for (const [width, options] of WIDTHS) {
      for (const colorScheme of ['dark', 'light']) {
        const page = await openPage(t, browser, `${web.url}/`, { ...options, colorScheme, refused: true });
        for (const path of [
          '/',
          '/dashboards',
          '/events?since=5m',
          '/alerts',
          '/streams',
          '/replays',
          '/streams/CIM-EVENTS',
          '/sources',
          '/stack',
          '/events/CIM-EVENTS/20',
          '/d/every-panel',
        ]) {
          await page.goto(web.url + path);
          await page.waitForSelector(path.startsWith('/d/') ? '[data-panel][data-state=shown]' : 'main h1');
          await untilPage(page, () => !document.querySelector('[aria-busy=true]'), `${path} is loaded`);
          assert.ok((await overflow(page)) <= 0, `${path} at ${width}: ${await overflow(page)} px too wide`);
          await shot(
            page,
            `${width}-${colorScheme}-${path.replaceAll(/[^a-z]+/gi, '-').replace(/^-|-$/g, '') || 'overview'}`,
          );
        }
        assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), colorScheme);
        assert.deepEqual(page.wrong, []);
        await page.context().close();
      }
    }
  });

  await t.test('a replay is on its page, with what it has done', async (t) => {
    const done = await cimOps([
      'replay',
      '--nats',
      stack.nats,
      '--stream',
      'CIM-EVENTS',
      '--domain',
      'workflow',
      '--target',
      'stream:REPLAYED',
    ]);
    assert.equal(done.code, 0, done.stderr);
    const id = /^id (\S+)$/m.exec(done.stdout)[1],
      replayed = /^done: ([\d,]+) events/m.exec(done.stdout)[1];
    const page = await openPage(t, browser, `${web.url}/replays`);
    const row = page.locator(`[data-replay="${id}"]`);
    await row.waitFor();
    const text = await row.innerText();
    assert.match(text, /done\s+stream:REPLAYED\s+CIM-EVENTS; domain workflow/);
    assert.ok(text.includes(replayed) && text.includes('100 %'), text);
    await shot(page, 'replays');
    await row.getByRole('link', { name: id }).click();
    await page.getByRole('link', { name: 'ReplayCompleted' }).waitFor();
    assert.deepEqual(page.wrong, []);
  });

  await t.test('the theme is switched, and kept', async (t) => {
    const page = await openPage(t, browser, `${web.url}/`);
    await page.getByRole('button', { name: 'Light colours' }).click();
    await page.reload();
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'light');
  });

  await t.test('a published event is on the screen; HTML in it stays text', async (t) => {
    const js = jetstream(await connectNats(t, stack.nats));
    const page = await openPage(t, browser, `${web.url}/events?live=1&type=PolicyMarked`);
    await page.getByText('live', { exact: true }).waitFor();
    const payload = {
      event_type: 'PolicyMarked',
      event_id: 'e1',
      policy_id: 'p1',
      note: '<img src=x onerror="window.hacked=1"><b id="bold">bold</b>',
    };
    const began = performance.now();
    const { seq } = await js.publish('events.policy.p1.policy_marked', JSON.stringify(payload));
    await page.getByRole('link', { name: 'PolicyMarked' }).waitFor();
    t.diagnostic(`published to the screen: ${(performance.now() - began).toFixed(0)} ms`);
    await page.getByRole('link', { name: 'PolicyMarked' }).click();
    await page
      .getByText('<b id="bold">bold</b>')
      .waitFor()
      .catch(() => {});
    assert.ok(page.url().endsWith(`/events/CIM-EVENTS/${seq}`));
    assert.match(await page.locator('pre.payload').innerText(), /<img src=x onerror=/);
    assert.equal(await page.locator('#bold').count(), 0);
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    assert.deepEqual(page.wrong, []);
  });

  await t.test('events: a filter, an address to share, a bar to zoom into', async (t) => {
    const page = await openPage(t, browser, `${web.url}/events?since=15m`);
    await page.getByLabel('Domain').fill('workflow');
    await page.keyboard.press('Enter');
    await untilPage(page, () => location.search.includes('domain=workflow'), 'the filter is in the address');
    await untilPage(
      page,
      () => {
        const cells = [...document.querySelectorAll('table.events tbody td:nth-child(2)')];
        return cells.length > 0 && cells.every((one) => one.innerText === 'workflow');
      },
      'only workflows',
    );
    const other = await openPage(t, browser, page.url());
    await other.locator('table.events tbody tr').first().waitFor();
    assert.equal(await other.getByLabel('Domain').inputValue(), 'workflow');
    await other.locator('.counts button[tabindex="0"]').last().click();
    await untilPage(other, () => /until=/.test(location.search), 'the bar is the range');
    await other.getByLabel('Condition').fill('$domain ==');
    await other.keyboard.press('Enter');
    await other.getByRole('alert').getByText('--where').waitFor();
    assert.deepEqual(page.wrong, []);
  });

  await t.test('a wrong filter is said on the live page, too', async (t) => {
    const page = await openPage(t, browser, `${web.url}/events?live=1&where=%24domain%20%3D%3D`, { refused: true });
    await page.locator('.tail-state').getByText('--where').waitFor();
    assert.deepEqual(page.wrong, []);
  });

  await t.test('addresses that are none: a page that says so', async (t) => {
    const page = await openPage(t, browser, `${web.url}/dashbords`, { refused: true });
    await page.getByRole('heading', { name: 'Not here' }).waitFor();
    for (const [path, words] of [
      ['/d/%zz', /there is no dashboard/],
      ['/events/%C3%28/x', /stream and seq were expected/],
      ['/streams/%zz', /stream not found/],
    ]) {
      await page.goto(web.url + path);
      await page.getByRole('alert').getByText(words).waitFor();
    }
    assert.deepEqual(page.wrong, []);
  });

  await t.test('a panel that cannot be drawn says so, and takes no other with it', async (t) => {
    const page = await openPage(t, browser, 'about:blank', { refused: true });
    await page.addInitScript(() => {
      HTMLCanvasElement.prototype.getContext = () => {
        throw new Error('no canvas today');
      };
    });
    await page.goto(`${web.url}/d/every-panel?refresh=`);
    const panels = await panelsOf(page);
    const undrawn = panels.filter(({ text }) => /it cannot be drawn: no canvas today/.test(text));
    assert.ok(undrawn.length > 0 && undrawn.every(({ state }) => state === 'failed'));
    assert.ok(panels.some(({ type, state }) => type === 'table' && state === 'shown'));
    assert.deepEqual(page.wrong, []);
  });

  await t.test('Prometheus slower than the refresh: panels are drawn, and no questions pile up', async (t) => {
    let running = 0,
      most = 0;
    const slow = createServer(async (request, response) => {
      most = Math.max(most, ++running);
      const body = [];
      for await (const part of request) body.push(part);
      const answer = await fetch(stack.prometheus + request.url, {
        method: request.method,
        body: body.length ? Buffer.concat(body) : undefined,
        headers: { 'content-type': request.headers['content-type'] ?? 'text/plain' },
      });
      await new Promise((resolve) => setTimeout(resolve, 1500));
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
      running--;
    }).listen(0, '127.0.0.1');
    t.after(() => (slow.closeAllConnections(), slow.close()));
    await until(() => slow.address());
    const behind = await startWeb(t, {
      nats: stack.nats,
      prometheus: `http://127.0.0.1:${slow.address().port}`,
      args: ['--dashboards', BOARDS],
    });
    const page = await openPage(t, browser, `${behind.url}/d/every-panel?refresh=1s`, { refused: true });
    await page.locator('[data-panel][data-state=shown] .u-over').first().waitFor({ timeout: 30_000 });
    await page.goto(behind.url);
    await page.locator('[data-health]').waitFor({ timeout: 30_000 });
    assert.ok(most <= 7, `${most} questions at once`);
    assert.deepEqual(page.wrong, []);
  });

  await t.test('on a phone the bar shows where one is, and the theme is in reach', async (t) => {
    const page = await openPage(t, browser, `${web.url}/stack`, { ...PHONE, viewport: { width: 320, height: 640 } });
    for (const one of [page.getByRole('link', { name: 'Stack', exact: true }), page.locator('.theme')]) {
      const { x, width } = await one.boundingBox();
      assert.ok(x >= 0 && x + width <= 320, `${x} to ${x + width}`);
    }
  });

  await t.test('keyboard: skip link, menus', async (t) => {
    const page = await openPage(t, browser, `${web.url}/d/every-panel?refresh=`, { refused: true });
    await page.waitForSelector('[data-panel]');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
    const range = page.getByRole('button', { name: /Last 5 minutes/ });
    await range.focus();
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Last 15 minutes' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Last 15 minutes' }).waitFor({ state: 'detached' });
  });

  await t.test('hostile dashboards: the page stays up and says what is wrong', async (t) => {
    const dir = await tempDir(t, 'boards');
    const panel = (id) => ({
      id,
      type: 'stat',
      title: `p${id}`,
      gridPos: { x: 0, y: id, w: 4, h: 4 },
      targets: [{ refId: 'A', expr: 'up' }],
    });
    await writeFile(
      join(dir, 'many.json'),
      JSON.stringify({ uid: 'many', title: 'Many', panels: Array.from({ length: 10_000 }, (_, i) => panel(i + 1)) }),
    );
    await writeFile(join(dir, 'broken.json'), '{"title": ');
    const hostile = await startWeb(t, {
      nats: stack.nats,
      prometheus: stack.prometheus,
      args: ['--dashboards', BOARDS, '--dashboards', dir],
    });
    const page = await openPage(t, browser, `${hostile.url}/d/hostile`, { refused: true });
    const panels = await panelsOf(page);
    assert.ok(panels.length >= 4);
    assert.match(
      await page.locator('[aria-label=unknown] details.notes summary').first().getAttribute('title'),
      /no-such-panel/,
    );
    await page
      .getByRole('img', { name: /it refers to itself by way of [ab]/ })
      .first()
      .waitFor();
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    assert.equal(await page.locator('a[href^="javascript"], form, main script').count(), 0);
    await shot(page, 'hostile', { fullPage: true });
    await page.goto(`${hostile.url}/d/many`);
    await page.getByRole('alert').first().waitFor();
    assert.match(await page.getByRole('alert').first().innerText(), /10,?000|400/);
    await page.goto(`${hostile.url}/d/broken`);
    assert.match(await page.getByRole('alert').first().innerText(), /broken\.json line 1/);
    assert.deepEqual(page.wrong, []);
  });

  await t.test('Prometheus and NATS down: said on the page, which stays up', async (t) => {
    const alone = await startWeb(t, { args: ['--dashboards', BOARDS] });
    const page = await openPage(t, browser, `${alone.url}/d/every-panel`, { refused: true });
    const panels = await panelsOf(page);
    assert.match(panels.find(({ title }) => title === 'Events').text, /does not answer/);
    for (const path of ['/', '/alerts', '/streams', '/events', '/sources']) {
      await page.goto(alone.url + path);
      await untilPage(
        page,
        () => /does not answer|NATS|cannot|not known/.test(document.querySelector('main').innerText),
        `${path} says what is wrong`,
      );
      await shot(page, `down-${path.slice(1) || 'overview'}`);
    }
    await page.goto(`${alone.url}/events?live=1`);
    await page.locator('.tail-state .bad').waitFor();
    assert.deepEqual(page.wrong, []);
  });
});
