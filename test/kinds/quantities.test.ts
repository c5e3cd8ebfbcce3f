import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDurationMs, parseSizeBytes } from '../../src/kinds/quantities.ts'

test('parseDurationMs: units, fractions, and a bare number that counts seconds', () => {
  const durations = {
    '500ms': 500,
    '10s': 10_000,
    '1.5s': 1500,
    '5m': 300_000,
    '1h': 3_600_000,
    '7d': 604_800_000,
    '30': 30_000,
    '0s': 0,
  }
  for (const [text, ms] of Object.entries(durations)) assert.equal(parseDurationMs(text), ms, text)
})

test('parseDurationMs: anything else is none', () => {
  for (const text of [
    '',
    ' ',
    's',
    '-1s',
    '1 s',
    '1S',
    '1sec',
    '1e3',
    '0x10',
    'Infinity',
    '1s2m',
    '٣s',
    '1.',
    '.5s',
    '9'.repeat(20),
  ])
    assert.equal(parseDurationMs(text), null, text)
})

test('parseSizeBytes: powers of 1,024 and bare bytes', () => {
  const sizes = {
    '512m': 536_870_912,
    '1k': 1024,
    '2G': 2_147_483_648,
    '1.5g': 1_610_612_736,
    '1t': 1_099_511_627_776,
    '42': 42,
    '42b': 42,
  }
  for (const [text, bytes] of Object.entries(sizes)) assert.equal(parseSizeBytes(text), bytes, text)
})

test('parseSizeBytes: anything else is none, also what no number can hold', () => {
  for (const text of ['', 'm', '-1m', '1 m', '1mb', '1mib', '1e3', '9'.repeat(15).concat('t')])
    assert.equal(parseSizeBytes(text), null, text)
})
