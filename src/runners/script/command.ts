import { accessSync, closeSync, constants, openSync, readSync, type Stats, statSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'
import { DEFAULT_PATH } from './environment.ts'

export type FoundCommand = { readonly path: string } | { readonly reason: string }

/**
 * Finds what a kind's `command` means and says why it could not be executed.
 *
 * @param command  an absolute path, or a bare name to look up in `searchPath`.
 * @returns the absolute path, or a sentence that says what is wrong and how to mend it.
 */
export function findCommand(command: string, searchPath: string | null): FoundCommand {
  if (command.includes('\0') || command === '') return { reason: 'The command is not a file name' }
  if (command.includes('/')) return isAbsolute(command) ? checkFile(command, searchPath) : { reason: relative(command) }
  return (
    lookUp(command, searchPath) ?? {
      reason: `The command "${command}" is not in Hive's PATH: install it or give its full path`,
    }
  )
}

/** The program and what the system runs it with: the `#!` interpreter, and what `env` looks up for it. */
export function programsOf(path: string, searchPath: string | null): readonly string[] {
  const { interpreter, argument } = interpreterOf(readHead(path) ?? '')
  if (interpreter === undefined) return [path]
  const found = interpreter.endsWith('/env') && argument !== undefined ? findTool(argument, searchPath) : null
  return [path, interpreter, ...(found === null ? [] : [found])]
}

/** The absolute path of a tool of the host; null = not there. */
export function findTool(name: string, searchPath: string | null): string | null {
  const found = lookUp(name, searchPath) ?? lookUp(name, DEFAULT_PATH)
  return found && 'path' in found ? found.path : null
}

function lookUp(name: string, searchPath: string | null): FoundCommand | null {
  let refused: FoundCommand | null = null
  for (const folder of (searchPath ?? DEFAULT_PATH).split(delimiter)) {
    // An empty element means the current directory to a shell; a daemon's current directory is nobody's wish.
    if (!isAbsolute(folder)) continue
    const path = join(folder, name)
    if (stat(path) === null) continue
    const found = checkFile(path, searchPath)
    if ('path' in found) return found
    refused ??= found
  }
  return refused
}

function checkFile(path: string, searchPath: string | null): FoundCommand {
  const found = stat(path)
  if (found === null) return { reason: `The command "${path}" does not exist` }
  if (found.isDirectory()) return { reason: `The command "${path}" is a directory` }
  if (!found.isFile()) return { reason: `The command "${path}" is not a regular file` }
  if (!isExecutable(path)) return { reason: `The command "${path}" is not executable: chmod +x it` }
  const wrong = checkFormat(path, searchPath)
  return wrong === null ? { path } : { reason: wrong }
}

/** execve(2) takes ELF files and `#!interpreter [argument]`; anything else a shell would try to run as its own text. */
function checkFormat(path: string, searchPath: string | null): string | null {
  const head = readHead(path)
  if (head === null || head.startsWith('\x7fELF')) return null
  if (!head.startsWith('#!')) return `The command "${path}" is neither an ELF program nor does it begin with #!`
  const { interpreter = '', argument } = interpreterOf(head)
  if (stat(interpreter) === null || !isExecutable(interpreter)) {
    return `The interpreter "${interpreter}" of the command "${path}" does not exist or is not executable`
  }
  const usesEnv = interpreter.endsWith('/env') && argument !== undefined && /^\w[\w.+-]*$/.test(argument)
  if (!usesEnv || findTool(argument, searchPath) !== null) return null
  return `The interpreter "${argument}" of the command "${path}" is not in Hive's PATH`
}

/** execve(2): `#!interpreter [argument]` on the first line. */
function interpreterOf(head: string): { readonly interpreter?: string; readonly argument?: string } {
  if (!head.startsWith('#!')) return {}
  const [interpreter = '', argument] =
    head
      .slice(2)
      .split('\n', 1)[0]
      ?.trim()
      .split(/[ \t]+/) ?? []
  return argument === undefined ? { interpreter } : { interpreter, argument }
}

function relative(command: string): string {
  return `The command "${command}" must be a full path, or a bare name that is looked up in Hive's PATH`
}

function stat(path: string): Stats | null {
  try {
    return statSync(path)
  } catch {
    return null
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The first bytes; null = executable, but not readable for us. */
function readHead(path: string): string | null {
  try {
    const file = openSync(path, 'r')
    try {
      const head = Buffer.alloc(256)
      return head.toString('latin1', 0, readSync(file, head))
    } finally {
      closeSync(file)
    }
  } catch {
    return null
  }
}
