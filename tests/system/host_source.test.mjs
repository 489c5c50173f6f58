// `cim-ops observe host`: this machine, and machines made of files.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import test from 'node:test';

import { jetstreamManager } from '@nats-io/jetstream';

import {
  cimOps, connectNats, scopeOf, startCimOps, startMonitor, startNats, startObserver, tempDir, until,
} from './lib/index.mjs';

const slow = { timeout: 120_000 };

/** A machine made of files: {path: text}; null removes one. */
async function machine(t, files) {
  const root = await tempDir(t, 'machine');
  const write = async (more) => {
    for (const [path, text] of Object.entries(more)) {
      const file = join(root, path);
      await mkdir(dirname(file), { recursive: true });
      if (text === null) await rm(file, { recursive: true });
      else await writeFile(file, text);
    }
  };
  await write({
    'proc/stat': 'cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 100 0 50 800 50 0 0 0 0 0\nintr 10 1 2\nctxt 20\n' +
      'btime 1700000000\nprocesses 30\nprocs_running 2\nprocs_blocked 1\n',
    'proc/meminfo': 'MemTotal:        1000 kB\nMemAvailable:     400 kB\nSwapTotal: 0 kB\n',
    'proc/vmstat': 'pgfault 5\noom_kill 0\n',
    'proc/loadavg': '0.50 1.25 2.00 1/100 12345\n',
    'proc/uptime': '86400.5 1000.0\n',
    'proc/sys/kernel/random/boot_id': 'boot-1\n',
    'proc/1/mounts': '/dev/vda1 / ext4 rw,relatime 0 0\nproc /proc proc rw 0 0\nnas:/x /nas nfs4 rw 0 0\n',
    'proc/1/net/dev': 'Inter-|   Receive  | Transmit\n face |bytes packets\n' +
      '  eth0: 1000 10 0 0 0 0 0 0 2000 20 0 0 0 0 0 0\n',
    'sys/class/net/eth0/operstate': 'up\n',
    'sys/class/net/eth0/speed': '1000\n',
    'proc/diskstats': ' 253 0 vda 10 0 100 5 20 0 200 6 0 7 8\n 253 1 vda1 1 0 1 1 1 0 1 1 0 1 1\n',
    'sys/block/vda/size': '1\n',
    'sys/class/hwmon/hwmon0/name': 'coretemp\n',
    'sys/class/hwmon/hwmon0/temp1_input': '45500\n',
    'sys/class/hwmon/hwmon0/temp1_label': 'Package id 0\n',
    'sys/class/hwmon/hwmon0/temp1_crit': '100000\n',
    'proc/pressure/memory': 'some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n',
    ...files,
  });
  return { root, write };
}

const observe = (t, { root }) => startObserver(t, ['host'], { interval: '200ms', args: ['--root', root] });

test('this machine, as its own files say', slow, async (t) => {
  const { code, stdout, stderr } = await cimOps(['observe', 'host', '--once', '--print', '--node', 'me']);
  assert.equal(code, 0, stderr);
  const events = stdout.trim().split('\n').map((line) => JSON.parse(line).payload);
  const of = (type) => events.filter((event) => event.event_type === type).map((event) => event.data);
  const [host] = of('HostSampled');
  const meminfo = await readFile('/proc/meminfo', 'utf8');
  assert.equal(host.memory_total_bytes, 1024 * Number(meminfo.match(/MemTotal:\s+(\d+)/)[1]));
  assert.equal(host.boot_time_seconds, Number((await readFile('/proc/stat', 'utf8')).match(/btime (\d+)/)[1]));
  assert.equal(host.node, 'me');
  assert.ok(host.valid_seconds === 30);
  const { bsize, blocks } = await statfs('/');
  const root = of('FilesystemSampled').find((data) => data.mountpoint === '/');
  if (root) assert.equal(root.size_bytes, bsize * blocks);
  assert.ok(of('CpuSampled').some((data) => data.cpu === 'all' && data.mode === 'idle' && data.seconds_total > 0));
  assert.ok(of('InterfaceSampled').some((data) => data.interface === 'lo'));
  for (const reason of Object.values(host.absent)) assert.ok(reason.length > 5);
});

test('figures, and what came between two looks', slow, async (t) => {
  const made = await machine(t, {});
  const observer = observe(t, made);
  const { data } = await observer.told('HostSampled');
  assert.equal(data.memory_total_bytes, 1024_000);
  assert.equal(data.memory_available_bytes, 409_600);
  assert.deepEqual([data.load1, data.load5, data.load15, data.cpus], [0.5, 1.25, 2, 1]);
  assert.deepEqual([data.processes_running, data.processes_blocked, data.uptime_seconds], [2, 1, 86400.5]);
  assert.equal(data.memory_free_bytes, undefined, 'what is not told is absent, not 0');
  assert.equal(data.interrupts, undefined, 'the first look knows no before');
  assert.match(data.absent.pressure_cpu, /\/proc\/pressure\/cpu: No such file/);
  assert.match(data.absent.units_failed, /systemd/);
  const sensor = await observer.told('TemperatureSampled');
  assert.deepEqual([sensor.data.celsius, sensor.data.critical_celsius, sensor.data.label], [45.5, 100, 'Package id 0']);
  assert.deepEqual(new Set(observer.of('FilesystemSampled').map((e) => e.data.mountpoint)), new Set(['/']));
  assert.deepEqual(new Set(observer.of('DiskSampled').map((e) => e.data.device)), new Set(['vda']));

  await observer.look();
  await made.write({
    'proc/stat': 'cpu  130 0 60 860 50 0 0 0 0 0\nintr 17\nctxt 40\nprocesses 31\n',
    'proc/1/net/dev': '  eth0: 1500 15 0 0 0 0 0 0 2600 26 1 0 0 0 0 0\n',
    'proc/diskstats': ' 253 0 vda 14 0 108 25 20 0 200 6 3 7 8\n',
  });
  const busy = await observer.told('CpuSampled', (d) => d.cpu === 'all' && d.mode === 'user' && d.seconds > 0);
  assert.deepEqual([busy.data.seconds, busy.data.ratio], [0.3, 0.3]);
  const counted = await observer.told('HostSampled', (d) => d.interrupts > 0);
  assert.deepEqual([counted.data.interrupts, counted.data.context_switches, counted.data.forks], [7, 20, 1]);
  const net = await observer.told('InterfaceSampled', (d) => d.received_bytes > 0);
  assert.deepEqual([net.data.received_bytes, net.data.sent_bytes, net.data.send_errors], [500, 600, 1]);
  assert.equal(net.data.speed_bytes_per_second, 125_000_000);
  const disk = await observer.told('DiskSampled', (d) => d.reads > 0);
  assert.deepEqual([disk.data.reads, disk.data.read_bytes, disk.data.read_latency_seconds, disk.data.in_flight],
    [4, 4096, 0.005, 3]);
  // A total that goes back says nothing about the time between.
  await made.write({ 'proc/1/net/dev': '  eth0: 5 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0\n' });
  const back = await observer.told('InterfaceSampled', (d) => d.received_bytes_total === 5);
  assert.equal(back.data.received_bytes, undefined);
});

test('transitions, each told once', slow, async (t) => {
  const made = await machine(t, {});
  const observer = observe(t, made);
  await observer.look();
  assert.equal(observer.of('HostRebooted').length, 0, 'it has run for a day');
  await made.write({
    'proc/sys/kernel/random/boot_id': 'boot-2\n',
    'proc/vmstat': 'pgfault 5\noom_kill 2\n',
    'proc/pressure/memory': 'some avg10=12.50 avg60=1.00 avg300=0.00 total=100\n',
    'proc/1/mounts': '/dev/vda1 / ext4 ro,relatime 0 0\n/dev/vdb1 /data xfs rw 0 0\n',
    'sys/class/net/eth0/operstate': 'down\n',
    'sys/class/hwmon/hwmon0/temp1_input': '101000\n',
    'data/x': '',
  });
  await observer.told('HostRebooted');
  await observer.told('OutOfMemoryKilled', (d) => d.count === 2);
  await observer.told('MemoryPressureBegan', (d) => d.waiting_percent === 12.5);
  await observer.told('FilesystemReadOnly', (d) => d.mountpoint === '/');
  await observer.told('InterfaceDown', (d) => d.interface === 'eth0');
  await observer.told('TemperatureCritical', (d) => d.celsius === 101);
  await observer.told('FilesystemSampled', (d) => d.mountpoint === '/data');
  await observer.look();
  await made.write({
    'proc/pressure/memory': 'some avg10=7.00 avg60=1.00 avg300=0.00 total=100\n',
    'sys/class/hwmon/hwmon0/temp1_input': '99000\n',
  });
  await observer.look();
  assert.equal(observer.of('MemoryPressureEnded').length, 0, 'seven per cent are between the marks');
  assert.equal(observer.of('TemperatureNormal').length, 0);
  await made.write({
    'proc/pressure/memory': 'some avg10=1.00 avg60=1.00 avg300=0.00 total=100\n',
    'proc/1/mounts': '/dev/vda1 / ext4 rw,relatime 0 0\n',
    'sys/class/net/eth0/operstate': 'up\n',
    'sys/class/hwmon/hwmon0/temp1_input': '60000\n',
  });
  for (const type of ['MemoryPressureEnded', 'FilesystemWritable', 'InterfaceUp', 'TemperatureNormal']) {
    await observer.told(type);
  }
  await observer.told('FilesystemGone', (d) => d.mountpoint === '/data');
  for (const type of ['HostRebooted', 'OutOfMemoryKilled', 'MemoryPressureBegan', 'FilesystemReadOnly', 'InterfaceDown',
    'TemperatureCritical', 'FilesystemGone']) {
    assert.equal(observer.of(type).length, 1, type);
  }
});

test('a filesystem that fills up', slow, async (t) => {
  const made = await machine(t, {});
  const full = join(made.root, 'full');
  await mkdir(full, { recursive: true });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', full]);
  } catch {
    return t.skip('no right to mount a filesystem');
  }
  scopeOf(t).after(() => execFileSync('umount', [full]));
  await made.write({ 'proc/1/mounts': '/dev/vdc1 /full ext4 rw 0 0\n' });
  await writeFile(join(full, 'a'), Buffer.alloc(860 << 10));
  const observer = observe(t, made);
  // Already so at the first look: it must be told all the same.
  await observer.told('FilesystemFilling', (d) => d.level === 80 && d.rising && d.mountpoint === '/full');
  await writeFile(join(full, 'b'), Buffer.alloc(140 << 10));
  await observer.told('FilesystemFilling', (d) => d.level === 95);
  await rm(join(full, 'a'));
  await observer.told('FilesystemRelieved', (d) => d.level === 0);
});

test('files that vanish, or hold what they should not', slow, async (t) => {
  const made = await machine(t, {});
  const observer = observe(t, made);
  await observer.look();
  await made.write({
    'proc/meminfo': null,
    'proc/loadavg': 'x y',
    'proc/stat': 'cpu  99999999999999999999999 0\ncpu\nintr\n\nbtime -3\n',
    'proc/diskstats': '1 2\nvda\n 253 0 vda 1 2 3\n',
    'proc/1/net/dev': ':::\neth0: 1 2\n: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n',
    'proc/1/mounts': 'x\n/dev/vdz /nowhere ext4 rw 0 0\n/dev/vdy \\04 ext4\n',
    'proc/vmstat': Buffer.alloc(1000, 255),
    'proc/pressure/memory': 'some avg10=nan avg60 =3 total=99999999999999999999999999\nfull\n',
    'sys/class/hwmon/hwmon0/temp1_input': '-\n',
    'proc/uptime': null,
  });
  const from = observer.mark();
  const { data } = await observer.told('HostSampled', (d) => d.absent.memory, { from });
  assert.match(data.absent.memory, /meminfo: No such file/);
  assert.equal(data.load1, undefined);
  await observer.told('FilesystemSampled', (d) => d.mountpoint === '/nowhere' && d.absent.size, { from });
  await observer.told('SourceFailed', undefined, { from });
  await made.write({ 'proc/meminfo': 'MemTotal: 1000 kB\n' });
  await observer.told('SourceRecovered', undefined, { from });
  assert.equal((await observer.child.stop()).code, 0);
});

test('events find a stream where there was none, and wait while the server is away', slow, async (t) => {
  const server = await startNats(t);
  const manager = await jetstreamManager(await connectNats(t, server.url));
  const once = await cimOps(['observe', 'host', '--nats', server.url, '--once']);
  assert.equal(once.code, 0, once.stderr);
  const stored = async (subject) => {
    const { state } = await manager.streams.info('CIM-OPS', { subjects_filter: subject });
    return Object.values(state.subjects ?? {}).reduce((sum, count) => sum + count, 0);
  };
  assert.equal(await stored('ops.host.host.*.HostSampled'), 1);

  const agent = startCimOps(t, ['observe', 'host', '--nats', server.url, '--interval', '300ms', '--node', 'me']);
  await until(async () => await stored('ops.host.source.me.SourceSampled') > 2);
  await server.kill();
  await agent.printed(/events wait/);
  await server.start();
  await until(async () => await stored('ops.host.source.me.SourceSampled') > 5, { deadline: 30_000 });
  await agent.printed(/published again/);
  // Deleted, it is made again.
  await manager.streams.delete('CIM-OPS');
  await until(async () => await stored('ops.host.source.me.SourceSampled') > 2, { deadline: 30_000 });
  assert.equal((await agent.stop()).code, 0);
  // What waited is stored once.
  const numbers = new Set();
  const consumer = await manager.jetstream().consumers.get('CIM-OPS', { filter_subjects: 'ops.host.source.me.>' });
  const count = await stored('ops.host.source.me.>');
  for await (const message of await consumer.fetch({ max_messages: count, expires: 5_000 })) {
    numbers.add(message.json().event_id);
  }
  assert.equal(numbers.size, count);
});

test('as metrics, which go stale with the agent', slow, async (t) => {
  const server = await startNats(t);
  const agent = startCimOps(t, ['observe', 'host', '--nats', server.url, '--interval', '300ms', '--node', 'me']);
  const monitor = await startMonitor(t, { nats: server.url });
  const me = { host: 'me' };
  const seen = await monitor.until((m) => m.get('cim_host_memory_total_bytes', me) > 0
    && m.sum('cim_host_cpu_seconds_total', me) > 0, { deadline: 30_000 });
  for (const name of ['cim_host_memory_available_bytes', 'cim_host_load1', 'cim_host_cpus',
    'cim_host_boot_time_seconds',
    'cim_host_network_received_bytes_total',
    'cim_host_context_switches_total', 'cim_host_info']) {
    assert.ok(seen.series(name).length > 0, `${name} is there`);
  }
  await agent.kill();
  await monitor.until((m) => m.series('cim_host_memory_total_bytes').length === 0, { deadline: 30_000 });
});
