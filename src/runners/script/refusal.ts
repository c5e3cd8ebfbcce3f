import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { LaunchRefused } from '../driver.ts'
import { outputFile } from './output.ts'

/** The leaf could not be made or joined: the host's fault, not the command's. */
export class ContainmentRefused extends Error {
  constructor() {
    super('The cocoon could not get its own cgroup')
    this.name = 'ContainmentRefused'
  }
}

/**
 * Says why the shim did not become the worker.
 * @param refused  content of the file of that name: `exec` or `cgroup`.
 */
export function explainRefusal(directory: string, refused: string, command: readonly string[]): Error {
  if (refused.startsWith('cgroup')) return new ContainmentRefused()
  // The shell's own words, such as "cocoon: 24: exec: /path: Text file busy"; nothing else can have written here yet.
  const words = firstLine(directory).split(`${command[0]}: `).at(-1)?.trim()
  return new LaunchRefused(`The command "${command[0]}" cannot be executed: ${words || 'the system refused it'}`)
}

/** The refusal of a setpriv that could not become the command; null = it did, and this was the command's own end. */
export function setprivRefusal(directory: string, code: number, command: readonly string[]): LaunchRefused | null {
  const line = firstLine(directory)
  const ownWords = line.startsWith(`${basename(command[0] ?? '')}: `) || line.startsWith(`${command[0]}: `)
  if (![1, 126, 127].includes(code) || !ownWords) return null
  return new LaunchRefused(`The command cannot be executed as another user: ${line.slice(line.indexOf(': ') + 2)}`)
}

function firstLine(directory: string): string {
  try {
    return readFileSync(outputFile(directory, 'stderr'), 'utf8').slice(0, 1_000).split('\n', 1)[0] ?? ''
  } catch {
    return ''
  }
}
