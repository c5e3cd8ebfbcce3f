import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LogOutput } from '../../src/log-output.ts'
import { until } from '../support/deadline.ts'

/** What the kernel does: it has room for so many bytes, else the fault. */
class Device {
  text = ''
  room = Number.POSITIVE_INFINITY
  fault = 'ENOSPC'
  calls = 0

  write = (bytes: Buffer): number => {
    this.calls++
    const taken = Math.min(this.room, bytes.length)
    if (taken === 0) throw Object.assign(new Error('no'), { code: this.fault })
    this.room -= taken
    this.text += bytes.subarray(0, taken).toString()
    return taken
  }
}

function outputOn(device: Device, backlogBytes = 100): LogOutput {
  return new LogOutput({ write: device.write, now: () => new Date(0), backlogBytes })
}

describe('the output of the log', () => {
  it('F9: keeps what there is room for, in order and without torn lines, and writes it as soon as it can', async () => {
    const device = new Device()
    const output = outputOn(device)
    output.write('before\n')
    device.room = 3
    for (const line of ['torn', 'second', 'third']) output.write(`${line}\n`)
    assert.equal(device.text, 'before\ntor')
    device.room = Number.POSITIVE_INFINITY
    await until(() => device.text === 'before\ntorn\nsecond\nthird\n', 5_000, 'the rest, without another line')
    output.end()
  })

  it('F9: drops what it cannot keep, and says how much and why in the place of it', async () => {
    const device = new Device()
    const output = outputOn(device)
    device.room = 0
    for (let n = 0; n < 30; n++) output.write(`line-${n}-\n`)
    device.room = Number.POSITIVE_INFINITY
    output.write('after\n')
    const lines = device.text.trim().split('\n')
    const [loss, ...later] = lines.slice(lines.findIndex((line) => line.startsWith('{')))
    const kept = lines.filter((line) => line.startsWith('line-')).length
    const { lost, code, level } = JSON.parse(loss ?? '')
    assert.deepEqual({ sum: kept + lost, code, level, later }, { sum: 30, code: 'ENOSPC', level: 40, later: ['after'] })
    output.end()
  })

  it('F9: a reader that has gone ends it for good', () => {
    const device = new Device()
    const output = outputOn(device)
    Object.assign(device, { room: 0, fault: 'EPIPE' })
    output.write('one\n')
    const { calls } = device
    device.room = Number.POSITIVE_INFINITY
    output.write('two\n')
    output.end()
    assert.deepEqual([device.text, device.calls], ['', calls])
  })
})
