// The viewer in a browser: size, first paint, 50,000 points, the live tail at 1,000 events a second.
//
//     node bench/viewer.mjs CIM_OPS      TAIL_MINUTES: how long the tail runs (default 10)
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

process.env.CIM_OPS = process.argv[2] ?? 'build-release/cim-ops';
const lib = await import('../tests/system/lib/index.mjs');
const { startBrowser, startStack, openPage, panelsOf } = await import('../tests/ui/lib.mjs');
const { REPOSITORY, Scope, query, startCimOps, startWeb, tempDir, until } = lib;

const minutes = Number(process.env.TAIL_MINUTES ?? 10);
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const share = (list, part) =>
  [...list].sort((a, b) => a - b)[Math.min(Math.floor(list.length * part), list.length - 1)];
const results = {};
const say = (name, value, words) => {
  results[name] = value;
  console.log(`viewer: ${words}`);
};

/** Keeps when each panel was shown, and when the answers had come, in the page itself. */
const WATCH = () => {
  window.shownAt = new Map();
  new MutationObserver(() => {
    for (const one of document.querySelectorAll('[data-panel][data-state=shown]')) {
      if (!window.shownAt.has(one.dataset.panel)) {
        window.shownAt.set(one.dataset.panel, Infinity);
        requestAnimationFrame(() => setTimeout(() => window.shownAt.set(one.dataset.panel, performance.now())));
      }
    }
  }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ['data-state'] });
};

async function firstPaint(scope, browser, stack) {
  const times = [];
  for (let i = 0; i < 7; i++) {
    const page = await openPage(scope, browser, 'about:blank');
    await page.addInitScript(WATCH);
    await page.goto(`${stack.web}/d/cim-events?refresh=`);
    await until(
      () =>
        page.evaluate(() => {
          const all = [...document.querySelectorAll('[data-panel]')];
          return (
            all.length > 0 &&
            all
              .filter((one) => one.getBoundingClientRect().top < innerHeight)
              .every((one) => Number.isFinite(window.shownAt.get(one.dataset.panel)))
          );
        }),
      { deadline: 30_000 },
    );
    times.push(
      await page.evaluate(() => {
        const seen = [...document.querySelectorAll('[data-panel]')].filter(
          (one) => one.getBoundingClientRect().top < innerHeight,
        );
        const data = performance
          .getEntriesByType('resource')
          .filter(({ name }) => /\/query/.test(name))
          .map(({ responseEnd }) => responseEnd);
        const painted = Math.max(...seen.map((one) => window.shownAt.get(one.dataset.panel)));
        const needed = data.filter((at) => at <= painted).sort((x, y) => x - y);
        return { painted, last: painted - needed.at(-1), first: painted - needed[0] };
      }),
    );
    await page.context().close();
  }
  const of = (name) => median(times.map((one) => one[name]));
  say(
    'first_paint_ms',
    { after_last_answer: of('last'), after_first_answer: of('first'), after_opening: of('painted') },
    `first paint of cim-events: ${of('last').toFixed(0)} ms after the last answer for what is ` +
      `in sight (at most 300), ` +
      `${of('first').toFixed(0)} ms after the first, ${of('painted').toFixed(0)} ms after the address was opened ` +
      `(medians of ${times.length})`,
  );
}

/** Five series of 10,000 points: Prometheus computes them, so that there are as many on any machine. */
async function manyPoints(scope, browser, stack) {
  const dir = await tempDir(scope, 'boards');
  const targets = Array.from({ length: 5 }, (_, i) => ({
    refId: String.fromCharCode(65 + i),
    expr: `label_replace(sin(vector(time()) / ${30 + 7 * i}) + ${i}, "i", "${i}", "", "")`,
  }));
  await writeFile(
    join(dir, 'points.json'),
    JSON.stringify({
      uid: 'points',
      title: 'Points',
      time: { from: 'now-10000s', to: 'now' },
      refresh: '',
      panels: [
        {
          id: 1,
          type: 'timeseries',
          title: '50,000',
          gridPos: { x: 0, y: 0, w: 24, h: 20 },
          maxDataPoints: 10_000,
          interval: '1s',
          targets,
        },
      ],
    }),
  );
  const web = await startWeb(scope, { nats: stack.nats, prometheus: stack.prometheus, args: ['--dashboards', dir] });
  const page = await openPage(scope, browser, `${web.url}/d/points`);
  await panelsOf(page);
  const box = await page.locator('.u-over').boundingBox();
  await page.evaluate(() => {
    window.frames_ = [];
    let last = performance.now();
    const next = (now) => {
      window.frames_.push(now - last);
      last = now;
      requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
  });
  // Ten zooms by a twentieth: nearly all points stay.
  for (let i = 0; i < 10; i++) {
    let answers = 0;
    const count = (response) => response.url().includes('query_range') && answers++;
    page.on('response', count);
    await page.mouse.move(box.x + box.width * 0.02, box.y + 60);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.98, box.y + 60, { steps: 30 });
    await page.mouse.up();
    await until(() => answers >= targets.length, { deadline: 20_000, what: 'the data of the zoom' });
    await until(() => page.evaluate(() => !document.querySelector('.panel.loading')), { what: 'drawn' });
    page.off('response', count);
  }
  const frames = (await page.evaluate(() => window.frames_)).slice(2);
  const late = frames.filter((ms) => ms > (1000 / 60) * 1.5).length;
  const rate = 1000 / (frames.reduce((a, b) => a + b, 0) / frames.length);
  const [most, longest] = [share(frames, 0.99), share(frames, 1)].map((ms) => ms.toFixed(0));
  say(
    'zoom_frames_per_second',
    rate,
    `50,000 points: ${rate.toFixed(1)} frames a second over ten zooms (60 wanted, ratio ${(rate / 60).toFixed(2)}), ` +
      `99 of 100 within ${most} ms, longest ${longest} ms; ${late} of ${frames.length} late`,
  );
  await page.context().close();
}

const rssOf = async (pid) => Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;

async function tail(scope, browser, stack) {
  const web = await startWeb(scope, { nats: stack.nats, prometheus: stack.prometheus });
  startCimOps(scope, ['simulate', '--nats', stack.nats, '--rate', '1000', '--seed', '3', '--forever']);
  const page = await openPage(scope, browser, `${web.url}/events?live=1`);
  const devtools = await page.context().newCDPSession(page);
  const look = async () => {
    await devtools.send('HeapProfiler.collectGarbage');
    const { usedSize } = await devtools.send('Runtime.getHeapUsage');
    const [received, rate, dropped] = await page.evaluate(() => [
      Number(document.querySelector('[data-received]').dataset.received),
      Number(document.querySelector('[data-rate]').dataset.rate),
      document.querySelector('.tail-state .warn')?.innerText ?? 'none',
    ]);
    return { heap: usedSize / 1048576, rss: await rssOf(web.child.pid), received, rate, dropped };
  };
  await until(async () => (await look()).rate > 900, {
    deadline: 60_000,
    every: 1000,
    what: '1,000 events a second are shown',
  });
  const first = await look(),
    began = performance.now();
  await new Promise((resolve) => setTimeout(resolve, minutes * 60_000)); // the length of the measurement, not a wait
  const last = await look(),
    seconds = (performance.now() - began) / 1000;
  const grown = (name) => {
    const [from, to] = [first[name], last[name]];
    return `${from.toFixed(1)} to ${to.toFixed(1)} MiB (ratio ${(to / from).toFixed(2)})`;
  };
  say(
    'tail',
    { minutes, first, last },
    `tail: ${((last.received - first.received) / seconds).toFixed(0)} events a second for ${minutes} min; ` +
      `page ${grown('heap')}, cim-ops web ${grown('rss')}; dropped: ${last.dropped}`,
  );
  await page.context().close();
}

const scope = new Scope();
try {
  const bundle = gzipSync(
    Buffer.concat(
      await Promise.all(
        ['app.js', 'app.css', 'index.html'].map((name) => readFile(join(REPOSITORY, 'build/ui', name))),
      ),
    ),
  ).length;
  say('bundle_bytes', bundle, `bundle ${(bundle / 1000).toFixed(0)} kB gzip (at most 250)`);
  const stack = await startStack(scope),
    browser = await startBrowser(scope);
  await until(
    async () => (await query(stack.prometheus, 'sum(rate(cim_events_total[20s] offset 15s)) > 0')).length > 0,
    { deadline: 90_000, every: 500 },
  );
  await firstPaint(scope, browser, stack);
  await manyPoints(scope, browser, stack);
  await tail(scope, browser, stack);
  const file = join(dirname(process.env.CIM_OPS), 'bench/viewer.json');
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, JSON.stringify(results, null, 2));
} finally {
  await scope.close();
}
