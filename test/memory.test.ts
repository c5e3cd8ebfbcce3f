import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AT_START, afterLook, type HeapMode } from '../src/memory.ts'

const savesAfter = (mode: HeapMode, shares: readonly number[]) => shares.reduce(afterLook, mode).saves
const SAVING = [0.1].reduce(afterLook, AT_START)
const WORKING = [0.9, 0.5].reduce(afterLook, SAVING)

test('a heap is fast while the server starts, and saves memory from the first quiet look on', () => {
  assert.equal(savesAfter(AT_START, [0.9, 0.9, 0.9]), false)
  assert.equal(savesAfter(AT_START, [0.9, 0.9, 0.1]), true)
})

test('a heap saves memory until two busy looks in a row', () => {
  assert.equal(savesAfter(SAVING, [0.9, 0.1, 0.9]), true)
  assert.equal(savesAfter(SAVING, [0.9, 0.5]), false)
})

test('a heap at work is fast until thirty quiet looks in a row', () => {
  const quiet = Array.from({ length: 29 }, () => 0.1)
  assert.equal(savesAfter(WORKING, quiet), false)
  assert.equal(savesAfter(WORKING, [...quiet, 0.8, ...quiet]), false)
  assert.equal(savesAfter(WORKING, [...quiet, 0]), true)
})
