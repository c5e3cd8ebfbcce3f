import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { StartSlots } from '../../src/services/actions/start-slots.ts'

const never = new AbortController().signal

describe('start slots', () => {
  it('let so many in at once and the others in the order they came', async () => {
    const slots = new StartSlots(2)
    const entered: number[] = []
    const releases: (() => void)[] = []
    const all = [0, 1, 2, 3, 4].map(async (n) => {
      releases[n] = await slots.acquire(never)
      entered.push(n)
    })
    await turn()
    assert.deepEqual(entered, [0, 1])
    releases[1]?.()
    await turn()
    assert.deepEqual(entered, [0, 1, 2])
    releases[0]?.()
    releases[2]?.()
    await Promise.all(all)
    assert.deepEqual(entered, [0, 1, 2, 3, 4])
  })

  it('a slot given back twice counts once', async () => {
    const slots = new StartSlots(1)
    const release = await slots.acquire(never)
    release()
    release()
    await slots.acquire(never)
    let second = false
    const waiting = slots.acquire(never).then(() => {
      second = true
    })
    await turn()
    assert.equal(second, false)
    void waiting
  })

  it('who aborts while waiting leaves the queue and takes no slot along', async () => {
    const slots = new StartSlots(1)
    const release = await slots.acquire(never)
    const abort = new AbortController()
    const leaving = slots.acquire(abort.signal)
    const staying = slots.acquire(never)
    const reason = new Error('deleted')
    abort.abort(reason)
    await assert.rejects(leaving, reason)
    release()
    ;(await staying)()
    ;(await slots.acquire(never))()
  })

  it('an abort before asking is refused, and one after entering takes nothing back', async () => {
    const slots = new StartSlots(1)
    const reason = new Error('too late')
    await assert.rejects(slots.acquire(AbortSignal.abort(reason)), reason)
    const abort = new AbortController()
    const release = await slots.acquire(abort.signal)
    abort.abort()
    release()
    ;(await slots.acquire(never))()
  })

  it('an abort at the very moment a slot comes free loses no slot', async () => {
    const slots = new StartSlots(1)
    const release = await slots.acquire(never)
    const abort = new AbortController()
    const entering = slots.acquire(abort.signal)
    release()
    abort.abort()
    ;(await entering)()
    ;(await slots.acquire(never))()
  })
})
