// `cim-ops observe gpu` and `cim-ops gpu status`: a library that plays scripts stands in for NVIDIA's, files for
// AMD's driver.
import assert from 'node:assert/strict';
import test from 'node:test';

import {
  NVML, NVML_OLD, cimOps, fakeAmd, fakeApple, fakeNvidia, startCimOps, startMonitor, startNats, startObserver, until,
} from './lib/index.mjs';

const slow = { timeout: 120_000 };
const WELL = 'util=40 memutil=10 used=100 total=1000 temp=50 slowdown=90 power=200500 limit=300000 sm=1500 ' +
  'memclock=1200 fan=30 ecc_c=0 ecc_u=0 throttle=0x1 remap_pending=0 pid=77';

const observe = (t, script, nvml = NVML) =>
  startObserver(t, ['gpu'], { interval: '200ms', args: ['--nvml', nvml], env: script.env });

test('a healthy GPU: exact figures; what it does not tell is absent, with the reason', slow, async (t) => {
  const script = await fakeNvidia(t, `gpu 0 uuid=GPU-1 name=H100 ${WELL}`);
  const { data } = await observe(t, script).told('GpuSampled');
  assert.deepEqual(
    ['type', 'uuid', 'name', 'gpu', 'available', 'health', 'utilization_percent', 'memory_used_bytes',
      'memory_total_bytes', 'temperature_celsius', 'power_watts', 'power_limit_watts', 'clock_sm_megahertz',
        'fan_percent',
      'ecc_uncorrected', 'processes', 'driver', 'cuda'].map((field) => data[field]),
    ['nvidia', 'GPU-1', 'H100', 0, 1, 'HEALTHY', 40, 100 << 20, 1000 << 20, 50, 200.5, 300, 1500, 30, 0, 1, '550.54.15',
      '12.4']);
  assert.deepEqual(data.process_list, [{ pid: 77, memory_bytes: 1 << 20 }]);
  assert.equal(data.absent.encoder_percent, 'the driver is too old for it');
  assert.equal(data.absent.mig, 'Not Supported');
  assert.equal(data.encoder_percent, undefined);

  const bare = await fakeNvidia(t, 'gpu 0 uuid=GPU-2 name=T4 temp=33');
  const few = await observe(t, bare).told('GpuSampled');
  assert.equal(few.data.temperature_celsius, 33);
  for (const field of ['fan_percent', 'power_watts', 'ecc_uncorrected', 'memory', 'utilization_percent']) {
    assert.equal(few.data.absent[field], 'Not Supported', field);
    assert.equal(few.data[field], undefined, field);
  }
});

test('an older driver has fewer functions, and gives what it has', slow, async (t) => {
  const script = await fakeNvidia(t, `gpu 0 uuid=GPU-1 name=K80 ${WELL}\nxid 0 31`);
  const observer = observe(t, script, NVML_OLD);
  const { data } = await observer.told('GpuSampled');
  assert.equal(data.temperature_celsius, 50);
  assert.equal(data.absent.remapped_rows, 'the driver is too old for it');
  assert.equal(data.absent.processes, 'the driver is too old for it');
  await observer.told('GpuXid', (d) => d.xid === 31);
});

test('XID, ECC, throttling, memory: each told once, and health in words', slow, async (t) => {
  const gpu = (more) => `gpu 0 uuid=GPU-1 name=H100 ${more} ${WELL}`;
  const script = await fakeNvidia(t, gpu(''));
  const observer = observe(t, script);
  await observer.look();
  assert.equal(observer.events.filter((e) => /^Gpu(Xid|Ecc|Throttle|Memory|Rows|Lost|Found)/.test(e.type)).length, 0);

  await script.play(`${gpu('')}\nxid 0 79`);
  const { data } = await observer.told('GpuXid');
  assert.equal(data.xid, 79);
  assert.match(data.meaning, /fallen off the bus/);
  await observer.told('GpuSampled', (d) => /^CRITICAL: XID 79: .*fallen off the bus/.test(d.health));
  await script.play(`${gpu('')}\nlost 0\nxid 0 79`);
  await observer.told('GpuLost');
  await script.play(`${gpu('')}\nlost 0\nxid 0 79\nxid 0 79`);
  await until(() => observer.of('GpuXid', (d) => d.xid === 79 && d.uuid === 'GPU-1').length === 2,
    { what: 'an error of a GPU that is lost' });
  await script.play(`${gpu('')}\nxid 0 79\nxid 0 79\nxid 0 48`);
  await observer.told('GpuXid', (d) => d.xid === 48);
  assert.equal(observer.of('GpuXid', (d) => d.xid === 79).length, 2, 'each time it happens');

  await script.play(gpu('ecc_u=2 ecc_c=5'));
  await observer.told('GpuEccError', (d) => d.kind === 'uncorrected' && d.count === 2 && d.total === 2);
  await observer.told('GpuEccError', (d) => d.kind === 'corrected' && d.count === 5);
  await script.play(gpu('throttle=0x44 used=960 remap_pending=1'));
  const heat = await observer.told('GpuThrottleBegan', (d) => d.class === 'thermal');
  assert.deepEqual(heat.data.reasons, ['power_cap', 'hardware_thermal']);
  await observer.told('GpuThrottleBegan', (d) => d.class === 'power');
  await observer.told('GpuMemoryHigh', (d) => d.level === 95 && d.rising);
  await observer.told('GpuRowsRemapped', (d) => d.pending);
  await observer.told('GpuSampled', (d) => /slowed down by heat, memory above 95 %/.test(d.health));
  await observer.look();
  await script.play(gpu('used=940'));
  await observer.told('GpuThrottleEnded', (d) => d.class === 'thermal');
  await observer.told('GpuThrottleEnded', (d) => d.class === 'power');
  await observer.look();
  await script.play(gpu('used=500'));
  await observer.told('GpuMemoryNormal');
  for (const [type,
    count] of [['GpuRowsRemapped', 1], ['GpuMemoryNormal', 1], ['GpuThrottleBegan', 2], ['GpuEccError', 2]]) {
    assert.equal(observer.of(type).length, count, type);
  }
});

test('what is bad at the first look is told, too', slow, async (t) => {
  const script = await fakeNvidia(t, `gpu 0 uuid=GPU-1 name=H100 ecc_u=3 throttle=0x20 used=910 ${WELL}`);
  const observer = observe(t, script);
  await observer.told('GpuEccError', (d) => d.kind === 'uncorrected' && d.total === 3 && d.at_start === true);
  await observer.told('GpuThrottleBegan', (d) => d.class === 'thermal');
  await observer.told('GpuMemoryHigh', (d) => d.level === 90);
});

test('lost, not listed any more, returned, and a new one', slow, async (t) => {
  const one = `gpu 0 uuid=GPU-1 name=H100 ${WELL}`;
  const two = `gpu 1 uuid=GPU-2 name=H100 ${WELL}`;
  const script = await fakeNvidia(t, `${one}\n${two}`);
  const observer = observe(t, script);
  await observer.told('GpuSampled', (d) => d.uuid === 'GPU-2');
  await script.play(`${one}\n${two}\nlost 1`);
  const lost = await observer.told('GpuLost', (d) => d.uuid === 'GPU-2');
  assert.equal(lost.data.reason, 'GPU is lost');
  assert.equal(lost.data.gpu, 1);
  await observer.told('GpuSampled', (d) => d.uuid === 'GPU-2' && d.available === 0
    && d.temperature_celsius === undefined);
  await script.play(`${one}\n${two}`);
  await observer.told('GpuReturned', (d) => d.uuid === 'GPU-2');
  await script.play(one);
  await observer.told('GpuLost', (d) => d.uuid === 'GPU-2' && /list/.test(d.reason));
  await script.play(`${one}\n${two}\ngpu 2 uuid=GPU-3 name=H100 ${WELL}`);
  await observer.told('GpuFound', (d) => d.uuid === 'GPU-3');
  assert.equal(observer.of('GpuLost').length, 2);
  assert.equal(observer.of('SourceFailed').length, 0);
});

test('MIG instances have samples of their own', slow, async (t) => {
  const script = await fakeNvidia(t, `gpu 0 uuid=GPU-1 name=A100 mig=2 ${WELL}`);
  const observer = observe(t, script);
  await observer.told('GpuInstanceSampled', (d) => d.uuid === 'MIG-1' && d.gpu === '0:1'
    && d.memory_used_bytes === 2 << 20);
  await observer.told('GpuSampled', (d) => d.mig === true);
});

test('a driver that fails, and one that hangs: said so, and the other sources unharmed', slow, async (t) => {
  const gpu = `gpu 0 uuid=GPU-1 name=H100 ${WELL}`;
  const script = await fakeNvidia(t, 'init 9');
  const observer = startObserver(t, ['gpu', 'host'],
    { interval: '200ms', args: ['--nvml', NVML], env: script.env });
  const failed = await observer.told('SourceFailed');
  assert.match(failed.data.reason, /driver does not work: Driver Not Loaded/);
  await script.play(gpu);
  await observer.told('SourceRecovered');
  await observer.told('GpuSampled');
  await script.play(`${gpu}\nhang`);
  const hangs = await observer.told('SourceNotResponding', (d, e) => e.subject.startsWith('ops.gpu.'));
  assert.ok(hangs.data.seconds >= 5);
  await observer.told('HostSampled', undefined, { from: observer.mark() });
  // It ends in time all the same, though a thread cannot be ended.
  assert.equal((await observer.child.stop({ deadline: 8_000 })).code, 0);
});

test('AMD: from the files of its driver', slow, async (t) => {
  const { root, write } = await fakeAmd(t);
  const observer = startObserver(t, ['gpu'], { interval: '200ms', args: ['--root', root] });
  const { data } = await observer.told('GpuSampled');
  assert.deepEqual(
    ['type', 'uuid', 'name', 'utilization_percent', 'memory_total_bytes', 'temperature_celsius', 'power_watts',
      'power_limit_watts', 'clock_sm_megahertz', 'health'].map((field) => data[field]),
    ['amd', 'amd-0x42', 'MI210', 37, 68702699520, 41, 98, 300, 1700, 'HEALTHY']);
  assert.match(data.absent.fan_percent, /pwm1/);
  await write({ mem_info_vram_used: '66000000000\n', gpu_busy_percent: 'x' });
  await observer.told('GpuMemoryHigh', (d) => d.level === 95 && d.type === 'amd');
  await observer.told('GpuSampled', (d) => d.utilization_percent === undefined && d.absent.utilization_percent);
});

test('Apple Silicon: from what ioreg and powermetrics print', slow, async (t) => {
  const { dir, program, accelerator } = await fakeApple(t);
  const observer = startObserver(t, ['gpu'],
    { interval: '200ms', args: ['--root', dir], env: { PATH: `${dir}:${process.env.PATH}` } });
  const { data } = await observer.told('GpuSampled');
  assert.deepEqual(['type', 'uuid', 'name', 'utilization_percent', 'memory_used_bytes', 'power_watts',
    'clock_sm_megahertz', 'health'].map((field) => data[field]),
  ['metal', 'metal-4294968745', 'Apple M2 & Max', 23, 734003200, 12, 1398.5, 'HEALTHY']);
  assert.match(data.absent.renderer_percent, /ioreg does not tell/);
  await program('ioreg', accelerator(24).slice(0, 300));
  await observer.told('SourceFailed', (d) => /ioreg/.test(d.reason));
  await program('ioreg', accelerator(24));
  await observer.told('GpuSampled', (d) => d.utilization_percent === 24);
});

test('metrics, and the fleet as gpu status shows it', slow, async (t) => {
  const server = await startNats(t);
  const one = await fakeNvidia(t, `gpu 0 uuid=GPU-1 name=H100 ${WELL}\n` +
    `gpu 1 uuid=GPU-2 name=H100 throttle=0x40 ${WELL}`);
  const none = await cimOps(['gpu', 'status', '--nats', server.url]);
  assert.equal(none.code, 1);
  assert.match(none.stderr, /no stream takes|no GPU has been seen/);
  const start = (node, script) => startCimOps(t, ['observe', 'gpu', '--nats', server.url, '--interval', '500ms',
    '--node',
    node, '--nvml', NVML], { env: script.env });
  const agent = start('alpha', one);
  const two = await fakeNvidia(t, `gpu 0 uuid=GPU-9 name=L4 ${WELL}`);
  start('beta', two);
  const monitor = await startMonitor(t, { nats: server.url, args: ['--first-zero', '0s'] });
  const labels = { host: 'alpha', gpu: '0', uuid: 'GPU-1' };
  const seen = await monitor.until((m) => m.get('cim_gpu_temperature_celsius', { ...labels, type: 'nvidia' }) === 50,
    { deadline: 30_000 });
  assert.equal(seen.get('nvidia_gpu_memory_used_bytes', { ...labels, model: 'H100' }), 100 << 20);
  assert.equal(seen.get('nvidia_gpu_power_watts', { ...labels, model: 'H100' }), 200.5);
  assert.equal(seen.get('cim_gpu_available', labels), 1);
  for (const name of ['nvidia_gpu_utilization_gpu', 'nvidia_gpu_memory_total_bytes', 'nvidia_gpu_temperature_celsius',
    'cim_gpu_utilization_percent', 'cim_gpu_memory_used_bytes', 'cim_gpu_memory_total_bytes', 'cim_gpu_power_watts']) {
    assert.ok(seen.series(name).length > 0, name);
  }

  let fleet;
  await until(async () => (fleet = await cimOps(['gpu', 'status', '--nats', server.url])).stdout.includes('beta'));
  assert.equal(fleet.code, 1, 'one is not HEALTHY');
  const rows = fleet.stdout.trimEnd().split('\n').map((line) => line.split(/ {2,}/).map((cell) => cell.trim()));
  assert.deepEqual(rows.map((row) => row.length), [9, 9, 9, 9]);
  assert.deepEqual(rows[1], ['alpha', '0', 'H100', '40 %', '100 / 1000 MiB', '50 °C', '200 / 300 W', '1', 'HEALTHY']);
  assert.equal(rows[2][8], 'WARNING: slowed down by heat');
  assert.equal(rows[3][0], 'beta');
  assert.ok(!fleet.stdout.includes('\u001b'), 'no colour in a pipe');

  await one.play(`gpu 0 uuid=GPU-1 name=H100 ${WELL}\ngpu 1 uuid=GPU-2 name=H100 ${WELL}\nlost 1\nxid 1 79`);
  await monitor.until((m) => m.get('cim_gpu_available', { host: 'alpha', gpu: '1', uuid: 'GPU-2' }) === 0
    && m.get('cim_gpu_temperature_celsius', { host: 'alpha', gpu: '1', uuid: 'GPU-2', type: 'nvidia' }) === undefined
    && m.get('cim_gpu_xid_errors_total', { host: 'alpha', gpu: '1', uuid: 'GPU-2', xid: '79' }) === 1);
  await agent.kill();
  await until(async () => (await cimOps(['gpu', 'status', '--nats', server.url])).stdout.includes('STALE: last seen'),
    { deadline: 20_000 });
  await monitor.until((m) => m.get('cim_gpu_available', labels) === undefined, { deadline: 20_000 });
});

test('a library that is not there', slow, async () => {
  const named = await cimOps(['observe', 'gpu', '--once', '--print', '--nvml', '/nowhere/libnvidia-ml.so.1']);
  assert.equal(named.code, 2);
  assert.match(named.stderr, /--nvml: .*\/nowhere\/libnvidia-ml.so.1/);
});
