#!/usr/bin/env node
import { accessSync, constants, realpathSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runHive } from './entry.js'
import { become, underOwnNode } from './own-node.js'

// `adi` is a bigger tool of which Hive is one word: `adi hive …` is ours, all else goes to the next `adi` in PATH.
const self = fileURLToPath(import.meta.url)
const [word, ...rest] = process.argv.slice(2)

if (word === 'hive') {
  await underOwnNode(self, () => runHive(rest))
} else {
  const next = nextAdi(process.env.PATH ?? '')
  if (next === null) {
    process.stderr.write('adi: this one knows only `adi hive …`, and there is no other adi in PATH.\n')
    process.exitCode = 127
  } else {
    await become(next, process.argv.slice(2))
  }
}

/** Looks only behind our own directory, and at each directory once, so that two of these never call each other. */
function nextAdi(path) {
  const candidates = [...new Set(path.split(delimiter))].filter(Boolean).map((directory) => join(directory, 'adi'))
  const own = candidates.findLastIndex(isSelf)
  return candidates.slice(own + 1).find(isProgram) ?? null
}

function isSelf(file) {
  try {
    return realpathSync(file) === realpathSync(self)
  } catch {
    return false // not there, or not readable: not us
  }
}

function isProgram(file) {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}
