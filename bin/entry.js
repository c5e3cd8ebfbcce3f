import { readFileSync } from 'node:fs'
import module from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { chooseProgram } from './built.js'

const ROOT = new URL('..', import.meta.url)

/**
 * The one place where the command line meets the process: its environment and its streams.
 *
 * @param {readonly string[]} argv  What follows `hive`.
 * @returns {Promise<number>} the exit code.
 */
export async function runHive(argv) {
  const { file, fromSource } = chooseProgram(fileURLToPath(ROOT))
  // Types are stripped and code is compiled once, not at each command (nodejs.org/api/module.html#module-compile-cache).
  // A built server is better off without: the cache stays in its memory, and it starts once.
  if (fromSource || argv[0] !== 'serve') module.enableCompileCache?.()
  for (const stream of [process.stdout, process.stderr]) stream.on('error', endQuietly)
  const { main } = await import(pathToFileURL(file).href)
  return main(argv, process.env, { stdout: process.stdout, stderr: process.stderr, version: version() })
}

/** `hive list | head -1` closes our output early: that is no failure of ours. */
function endQuietly(error) {
  if (error.code !== 'EPIPE') throw error
}

function version() {
  return JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')).version
}
