// GPUs that are not there: a script for the fake NVML, the files of AMD's driver, the programs of macOS.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { CIM_OPS } from './paths.mjs';
import { tempDir } from './scope.mjs';

const library = (name) => join(dirname(CIM_OPS), `tests/fake/lib${name}.so`);
export const NVML = library('fakenvml');
export const NVML_OLD = library('fakenvml_old');

/** A script for the fake NVML (tests/fake/nvml.c) that can be changed while it plays. */
export async function fakeNvidia(t, text) {
  const file = join(await tempDir(t, 'nvml'), 'script');
  const play = (more) => writeFile(file, `${more}\n`);
  await play(text);
  return { file, play, env: { CIM_FAKE_NVML: file } };
}

/** The files of AMD's driver below `root`; `write` changes some. */
export async function fakeAmd(t) {
  const root = await tempDir(t, 'amd');
  const write = async (files) => {
    for (const [path, text] of Object.entries(files)) {
      const file = join(root, 'sys/class/drm/card0/device', path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, text);
    }
  };
  await write({
    vendor: '0x1002\n',
    unique_id: '0x42\n',
    product_name: 'MI210\n',
    gpu_busy_percent: '37\n',
    mem_info_vram_total: '68702699520\n',
    mem_info_vram_used: '1048576\n',
    'hwmon/hwmon3/temp1_input': '41000\n',
    'hwmon/hwmon3/power1_average': '98000000\n',
    'hwmon/hwmon3/power1_cap': '300000000\n',
    'hwmon/hwmon3/freq1_input': '1700000000\n',
  });
  return { root, write };
}

/** What `ioreg` and `powermetrics` print, in programs of these names in `dir`. */
export async function fakeApple(t) {
  const dir = await tempDir(t, 'apple');
  const head =
    '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" ' +
    '"http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n';
  const plist = (body) => `${head}<plist version="1.0">\n${body}\n</plist>\n`;
  const program = async (name, body) => {
    await writeFile(join(dir, `${name}.plist`), body);
    await writeFile(join(dir, name), `#!/bin/sh\ncat ${join(dir, name)}.plist\n`, { mode: 0o755 });
  };
  const accelerator = (load) =>
    plist(`<array><dict>
    <key>IORegistryEntryID</key><integer>4294968745</integer><key>model</key><string>Apple M2 &amp; Max</string>
    <key>gpu-core-count</key><integer>38</integer>
    <key>PerformanceStatistics</key><dict><key>Device Utilization %</key><integer>${load}</integer>
      <key>In use system memory</key><integer>734003200</integer></dict>
    <key>IOPowerManagement</key><dict/><key>MetalPluginName</key><string/></dict></array>`);
  await program('ioreg', accelerator(23));
  await program(
    'powermetrics',
    plist(
      '<dict><key>elapsed_ns</key><integer>200000000</integer><key>gpu</key>' +
        '<dict><key>freq_hz</key><real>1398.5</real><key>gpu_energy</key><integer>2400</integer></dict></dict>',
    ),
  );
  return { dir, program, accelerator };
}
