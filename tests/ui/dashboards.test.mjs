// The dashboards that ship: every query is one, finds something in a running stack, and no panel is empty or fails.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import {
  NVML,
  REPOSITORY,
  cimOps,
  fakeAmd,
  fakeApple,
  fakeNvidia,
  query,
  run,
  startCimOps,
  tempDir,
  until,
} from '../system/lib/index.mjs';
import { openPage, panelsOf, shot, startBrowser, startStack } from './lib.mjs';

const FOLDER = join(REPOSITORY, 'nix/dashboards');
const UIDS = ['cim-agents', 'cim-domain', 'cim-events', 'cim-gpu', 'cim-nats', 'cim-system'];
const boards = UIDS.map((uid) => JSON.parse(readFileSync(join(FOLDER, `${uid}.json`), 'utf8')));

/** What Grafana puts in for variables: a regular expression for all, one value of a single choice. */
function filled(board, expr) {
  const values = Object.fromEntries(
    board.templating.list.map(({ name, includeAll, current }) => [name, includeAll ? '.*' : current.value]),
  );
  return expr
    .replaceAll(/\$__(rate_)?interval\b/g, '20s')
    .replaceAll('$__range', '5m')
    .replaceAll(/\$(\w+)/g, (whole, name) => values[name] ?? assert.fail(`${board.uid}: ${whole} is no variable`));
}

const queries = boards.flatMap((board) =>
  board.panels.flatMap((panel) =>
    (panel.targets ?? []).map(({ expr, refId }) => ({
      where: `${board.uid}: ${panel.title} ${refId}`,
      expr: filled(board, expr),
    })),
  ),
);

test('made from their descriptions; ids, places and words', async () => {
  assert.deepEqual(
    readdirSync(FOLDER)
      .filter((name) => name.endsWith('.json'))
      .sort(),
    UIDS.map((uid) => `${uid}.json`),
  );
  const { code, stderr } = await run(process.execPath, [join(FOLDER, 'build.mjs'), '--check']);
  assert.equal(code, 0, stderr);
  for (const { uid, title, tags, panels } of boards) {
    assert.ok(title && tags.includes('cim'));
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length, `${uid}: ids`);
    const taken = new Set();
    for (const {
      title: name,
      type,
      description,
      gridPos: { x, y, w, h },
    } of panels) {
      assert.ok(type === 'row' || /\S.*[.?]$/.test(description), `${uid}: '${name}' says what it shows`);
      for (let i = 0; i < w * h; i++) {
        const cell = `${x + (i % w)},${y + Math.floor(i / w)}`;
        assert.ok(!taken.has(cell), `${uid}: '${name}' lies on another panel`);
        taken.add(cell);
      }
    }
  }
});

test('they fit the types of @grafana/schema, and a misspelt word does not', async (t) => {
  const check = (...args) => run(process.execPath, [join(FOLDER, 'schema_check.mjs'), ...args]);
  const good = await check();
  assert.equal(good.code, 0, good.stderr);
  assert.match(good.stdout, /^6 dashboards fit the types of @grafana\/schema \d/);
  const bad = join(await tempDir(t, 'board'), 'bad.json');
  await writeFile(
    bad,
    readFileSync(join(FOLDER, 'cim-events.json'), 'utf8').replace('"drawStyle": "line"', '"drawStyle": "lnie"'),
  );
  const found = await check(bad);
  assert.equal(found.code, 1);
  assert.match(found.stderr, /"lnie"' is not assignable/);
});

test('every query is one', async (t) => {
  const file = join(await tempDir(t, 'queries'), 'rules.yml');
  await writeFile(
    file,
    JSON.stringify({
      groups: [{ name: 'queries', rules: queries.map(({ expr }, i) => ({ record: `query:${i}`, expr })) }],
    }),
  );
  const { code, stdout, stderr } = await run('promtool', ['check', 'rules', file]);
  assert.equal(code, 0, stdout + stderr);
  assert.match(stdout, new RegExp(`${queries.length} rules found`));
});

/** What this machine cannot tell of itself, as in a bare chroot. */
async function missingHere() {
  const { stdout } = await cimOps(['observe', 'host', '--once', '--print']);
  return [
    ['DiskSampled', /cim_host_disk/],
    ['FilesystemSampled', /cim_host_filesystem/],
    ['"interface"', /cim_host_network/],
    ['pressure', /cim_host_pressure/],
  ]
    .filter(([told]) => !stdout.includes(told))
    .map(([, metric]) => metric);
}

// These are absent where all is well, or on one server alone: what they would show has not happened.
const QUIET = new RegExp(
  [
    'nats_server_rtt_nanoseconds',
    'nats_jetstream_consumer_stalled\\{[^}]*\\} > 0\\)$',
    'nats_jetstream_stream_transitions_total',
    'cim_commands_unanswered',
  ].join('|'),
);

test('in a running stack', { timeout: 400_000 }, async (t) => {
  const stack = await startStack(t),
    browser = await startBrowser(t);
  const nvidia = await fakeNvidia(
    t,
    'gpu 0 uuid=GPU-1 name=H100 util=72 memutil=41 used=610 total=1000 temp=61 power=420000 limit=700000 pid=77 ' +
      'sm=1500\ngpu 1 uuid=GPU-2 name=H100 util=15 memutil=5 used=120 total=1000 temp=48 power=120000 sm=900',
  );
  const amd = await fakeAmd(t),
    apple = await fakeApple(t);
  for (const [node, args, env] of [
    ['rack-1', ['--nvml', NVML], nvidia.env],
    ['rack-2', ['--root', amd.root], {}],
    ['studio', ['--root', apple.dir], { PATH: `${apple.dir}:${process.env.PATH}` }],
  ]) {
    startCimOps(t, ['observe', 'gpu', '--nats', stack.nats, '--interval', '2s', '--node', node, ...args], { env });
  }
  const missing = await missingHere();

  await t.test('every query finds something', async (t) => {
    for (const { where, expr } of queries) {
      if (QUIET.test(expr) || missing.some((metric) => metric.test(expr))) {
        t.diagnostic(`${where}: may be quiet here`);
        continue;
      }
      await until(async () => (await query(stack.prometheus, expr)).length > 0, {
        deadline: 120_000,
        every: 500,
        what: `${where} finds something: ${expr}`,
      });
    }
  });

  for (const { uid, panels: all } of boards) {
    await t.test(`${uid}: no panel is empty, none fails`, async (t) => {
      const page = await openPage(t, browser, `${stack.web}/d/${uid}?from=now-2m&to=now&refresh=5s`);
      const isExcused = ({ id, state }) => {
        const { targets } = all.find((one) => String(one.id) === id);
        return state === 'empty' && targets.every(({ expr }) => missing.some((metric) => metric.test(expr)));
      };
      // A range ends at a step of the past: what has only just come is there with the next refresh.
      let panels, wrong;
      const isWell = async () => {
        panels = await panelsOf(page);
        wrong = panels.filter((panel) => panel.state !== 'shown' && !isExcused(panel));
        // Only what is in sight is asked again.
        if (wrong.length) await page.locator(`[data-panel="${wrong[0].id}"]`).scrollIntoViewIfNeeded();
        return wrong.length === 0;
      };
      await until(isWell, { deadline: 60_000, every: 2000 }).catch(() => {});
      assert.deepEqual(wrong, []);
      assert.equal(panels.length, all.filter(({ type }) => type !== 'row').length);
      await shot(page, uid, { fullPage: true });
      if (uid === 'cim-events' && process.env.UPDATE_PICTURES) {
        await page.screenshot({ path: join(REPOSITORY, 'doc/viewer.png') }); // for the README
      }
      await page.setViewportSize({ width: 390, height: 844 });
      assert.ok((await page.evaluate(() => document.scrollingElement.scrollWidth - innerWidth)) <= 0, 'fits a phone');
      await shot(page, `${uid}-phone`);
      assert.deepEqual(page.wrong, []);
    });
  }
});
