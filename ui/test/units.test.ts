import assert from 'node:assert/strict';
import { test } from 'node:test';

import { plainNumber, showNumber, shownText, dateText, ago, useUtc } from '../src/model/units';

const shown = (value: number, unit?: string, decimals?: number) => shownText(showNumber(value, unit, decimals));

test('numbers show about three digits', () => {
  for (const [value, text] of [
    [0, '0'],
    [1, '1'],
    [1.5, '1.5'],
    [1.234, '1.23'],
    [12.34, '12.3'],
    [123.4, '123'],
    [0.0123, '0.0123'],
    [0.000001234, '0.00000123'],
    [1e-9, '1e-9'],
    [1e22, '1e+22'],
    [-1.5, '-1.5'],
    [Infinity, '+Inf'],
    [NaN, 'NaN'],
    [100, '100'],
    [1200, '1200'],
  ] as const) {
    assert.equal(plainNumber(value), text, String(value));
  }
  assert.equal(plainNumber(1.005, 1), '1.0');
  assert.equal(plainNumber(3, 2), '3.00');
});

test('units', () => {
  for (const [value, unit, text, decimals] of [
    [1024, 'bytes', '1 KiB'],
    [1536, 'bytes', '1.5 KiB'],
    [0, 'bytes', '0 B'],
    [1e9, 'decbytes', '1 GB'],
    [2048, 'mbytes', '2 GiB'],
    [1500, 'Bps', '1.5 kB/s'],
    [1e6, 'bps', '1 Mb/s'],
    [1500, 'short', '1.5 K'],
    [2e6, 'short', '2 Mil'],
    [12, 'short', '12'],
    [1234567, 'none', '1234567'],
    [0.5, 'percentunit', '50%'],
    [12.3, 'percent', '12.3%'],
    [0.25, 's', '250 ms'],
    [90, 's', '1.5 min'],
    [3600, 's', '1 hour'],
    [7200, 's', '2 hours'],
    [86400 * 3, 's', '3 days'],
    [1500, 'ms', '1.5 s'],
    [2e-6, 's', '2 µs'],
    [150, 'reqps', '150 req/s'],
    [1500, 'ops', '1.5 K ops/s'],
    [0.002, 'volt', '2 mV'],
    [1500, 'watt', '1.5 kW'],
    [1.5e9, 'hertz', '1.5 GHz'],
    [1000, 'mwatt', '1 W'],
    [21.5, 'celsius', '21.5 °C'],
    [1, 'bool_yes_no', 'Yes'],
    [255, 'hex0x', '0xFF'],
    [5, 'suffix:apples', '5apples'],
    [5, 'prefix:#', '#5'],
    [5, 'things', '5 things'],
    [3661, 'dthms', '01:01:01'],
    [90061, 'dtdhms', '1 d 01:01:01'],
    [93784, 'dtdurations', '1 day 2 hours'],
    [61000, 'clockms', '01m:01s:00ms'],
    [12.5, 'currencyUSD', '$12.50', 2],
    [1500, 'si:mm/s', '1.5 m/s'],
    [NaN, 'bytes', 'NaN'],
    [1234.5, 'locale', '1,234.5'],
  ] as [number, string, string, number?][]) {
    assert.equal(shown(value, unit, decimals), text, `${value} ${unit}`);
  }
});

test('units that few have', () => {
  for (const [value, unit, text] of [
    [1500, 'Hs', '1.5 kH/s'],
    [2, 'THs', '2 TH/s'],
    [3, 'tflops', '3 TFLOPS'],
    [5, 'Tbits', '5 Tb/s'],
    [12.5, 'currencyPLN', '12.5 zł'],
    [5, 'currencyINR', '₹5'],
    [30, 'pressurekpa', '30 kPa'],
    [0.5, 'radsvh', '500 mSv/h'],
    [3, 'Wm2', '3 W/m²'],
  ] as [number, string, string][])
    assert.equal(shown(value, unit), text, unit);
  assert.equal(shown(90_061, 'dtdurations'), '1 day 1 hour');
  assert.equal(shown(90_061, 'dtdurations', 0), '1 day');
});

test('a dashboard in UTC', () => {
  useUtc(true);
  assert.equal(dateText(0, 'HH:mm'), '00:00');
  useUtc(false);
});

test('names of objects are no units', () => {
  assert.equal(shown(1, 'constructor'), '1 constructor');
  assert.equal(shown(1, '__proto__'), '1 __proto__');
});

test('dates', () => {
  assert.equal(dateText(0, 'YYYY-MM-DD HH:mm:ss.SSS [at] X', true), '1970-01-01 00:00:00.000 at 0');
  assert.equal(dateText(Date.UTC(2026, 10, 24, 13, 5), 'D MMM YY h:mm A', true), '24 Nov 26 1:05 PM');
  assert.equal(dateText(NaN, 'YYYY'), 'Invalid date');
  assert.equal(ago(1000, 61_000), '1 minute ago');
  assert.equal(ago(7_200_000, 0), 'in 2 hours');
});
