import assert from 'node:assert/strict'
import { constants, type NodeGCPerformanceDetail, PerformanceObserver } from 'node:perf_hooks'
import { test } from 'node:test'
import { bytesPassed } from '../../src/proxy/young-garbage.ts'
import { within } from '../support/deadline.ts'

const { NODE_PERFORMANCE_GC_MINOR: MINOR, NODE_PERFORMANCE_GC_FLAGS_FORCED: FORCED } = constants

test('after some megabytes of buffers the young ones are collected, and nothing more', async (t) => {
  const kinds: (number | undefined)[] = []
  const forced = Promise.withResolvers<void>()
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { kind, flags = 0 } = (entry as unknown as { readonly detail: NodeGCPerformanceDetail }).detail
      if ((flags & FORCED) !== 0) kinds.push(kind)
    }
    if (kinds.length > 0) forced.resolve()
  })
  observer.observe({ entryTypes: ['gc'] })
  // Entries are delivered when the loop turns, and do not turn it themselves.
  const turning = setInterval(() => undefined, 5)
  t.after(() => {
    clearInterval(turning)
    observer.disconnect()
  })
  for (let passed = 0; passed < 8; passed += 1) bytesPassed(1024 * 1024)
  await within(forced.promise, 10_000, 'a collection')
  assert.deepEqual(kinds, [MINOR])
})
