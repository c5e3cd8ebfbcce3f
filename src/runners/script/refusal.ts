import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { LaunchRefused } from '../driver.ts'
import { outputFile } from './output.ts'
import type { WrappedCommand } from './wrapping.ts'

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
  if (refused.startsWith('limits')) return new LaunchRefused('The cocoon could not join the cgroups of its limits')
  // The shell's own words, such as "cocoon: 24: exec: /path: Text file busy"; nothing else can have written here yet.
  const words = firstLine(directory).split(`${command[0]}: `).at(-1)?.trim()
  return new LaunchRefused(`The command "${command[0]}" cannot be executed: ${words || 'the system refused it'}`)
}

/**
 * The refusal of a program that should have executed the command under limits, as another user or in a sandbox.
 * @returns null = it did, and this was the command's own end.
 */
export function wrapperRefusal(
  directory: string,
  code: number,
  { argv, wrappers }: WrappedCommand,
): LaunchRefused | null {
  if (![1, 126, 127].includes(code)) return null
  const line = firstLine(directory)
  for (const wrapper of wrappers.map((start) => argv[start] ?? '')) {
    const name = basename(wrapper)
    // firejail says "Error: …" or "Error name: …", the others their name first.
    const isIts = [`${name}: `, `${wrapper}: `].some((words) => line.startsWith(words))
    if (!isIts && !(name === 'firejail' && /^Error\b/.test(line))) continue
    const how = name === 'setpriv' ? 'as another user' : `through ${name}`
    return new LaunchRefused(`The command cannot be executed ${how}: ${line.slice(line.indexOf(': ') + 2)}`)
  }
  return null
}

function firstLine(directory: string): string {
  try {
    return readFileSync(outputFile(directory, 'stderr'), 'utf8').slice(0, 1_000).split('\n', 1)[0] ?? ''
  } catch {
    return ''
  }
}
