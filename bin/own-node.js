// Plain JavaScript that any Node ≥ 18 can read, so that an old Node gets a sentence instead of a syntax error.
import { spawn } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const OLDEST = 24
const PACKAGE = dirname(dirname(fileURLToPath(import.meta.url)))

/**
 * Says what is wrong with the running Node and how to mend it.
 *
 * @param {string} version  Such as `20.20.2`.
 * @returns {string | null} null = nothing is wrong.
 */
export function nodeProblem(version = process.versions.node) {
  if (Number.parseInt(version, 10) >= OLDEST) return null
  return [
    `hive needs Node ${OLDEST} or newer; this is Node ${version} (${process.execPath}).`,
    existsSync(join(PACKAGE, 'package-lock.json'))
      ? `Run \`npm ci\` in ${PACKAGE}: it brings the right Node along, and every npm script uses it.`
      : `Install Node ${OLDEST}, or run \`npx -p node@${OLDEST} -p cocoon-hive hive …\`.`,
  ].join('\n')
}

/**
 * Runs `entry` under a Node that can: this one, else the one that `npm ci` put beside the package, else none.
 *
 * @param {string} script  The bin itself, for the second start.
 * @param {() => Promise<number>} entry  Resolves with the exit code.
 */
export async function underOwnNode(script, entry) {
  const problem = nodeProblem()
  if (problem === null) {
    process.exitCode = await entry()
    return
  }
  const own = ownNode()
  if (own === null) {
    process.stderr.write(`${problem}\n`)
    process.exitCode = 1
    return
  }
  await become(own, [script, ...process.argv.slice(2)])
}

/** The Node of the `node` package, unless it is the one that runs already (then a second start would never end). */
function ownNode() {
  for (const candidate of ['node_modules/node/bin/node', 'node_modules/.bin/node']) {
    const path = join(PACKAGE, candidate)
    if (existsSync(path) && realpathSync(path) !== realpathSync(process.execPath)) return path
  }
  return null
}

/**
 * The nearest thing to exec(3) that Node has: same standard streams, signals handed on, same end.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @returns {Promise<void>} after the child's end, with `process.exitCode` set or this process signalled likewise.
 */
export function become(command, args) {
  return new Promise((resolve) => {
    // Before the start: the child may run, and this process be signalled, before spawn() has come back.
    const handlers = new Map(
      ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'].map((signal) => [signal, () => handOn(child, signal)]),
    )
    for (const [signal, handler] of handlers) process.on(signal, handler)
    const child = spawn(command, args, { stdio: 'inherit' })
    const done = () => {
      for (const [signal, handler] of handlers) process.off(signal, handler)
      resolve()
    }
    child.on('error', (error) => {
      process.stderr.write(`${command}: ${error.message}\n`)
      process.exitCode = 126
      done()
    })
    child.on('exit', (code, signal) => {
      done()
      process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0)
      if (signal !== null) process.kill(process.pid, signal)
    })
  })
}

/** A terminal sends its Ctrl-C and Ctrl-\ to the child as well; a second copy would read as "now, at once". */
function handOn(child, signal) {
  const fromTerminal = process.stdin.isTTY && (signal === 'SIGINT' || signal === 'SIGQUIT')
  if (!fromTerminal) child.kill(signal)
}
