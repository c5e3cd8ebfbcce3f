#!/usr/bin/env node
import { fileURLToPath } from 'node:url'
import { runHive } from './entry.js'
import { underOwnNode } from './own-node.js'

await underOwnNode(fileURLToPath(import.meta.url), () => runHive(process.argv.slice(2)))
