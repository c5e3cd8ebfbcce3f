import type { Engine } from './engine.ts'
import { EngineRefusal } from './request.ts'

/** Where Docker and Podman look when neither image nor kind sets PATH. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/**
 * Looks whether a kind's own command can be run in a container that was just created.
 * @returns what is wrong with it, or null: nothing, or nothing that can be seen from here.
 */
export async function commandFault(
  engine: Engine,
  id: string,
  command: string | null,
  signal: AbortSignal,
): Promise<string | null> {
  // Relative paths depend on the working directory, which a volume may provide.
  if (command === null || (command.includes('/') && !command.startsWith('/'))) return null
  try {
    for (const path of await candidates(engine, id, command, signal)) {
      const file = await engine.file(id, path, signal)
      if (file === null) continue
      if (file.isDirectory) return `the command ${path} is a directory`
      return file.isExecutable ? null : `the command ${path} is not executable`
    }
    return `there is no command ${command} in it`
  } catch (error) {
    // An engine that cannot say leaves it to the start.
    if (error instanceof EngineRefusal || error instanceof SyntaxError) return null
    throw error
  }
}

async function candidates(
  engine: Engine,
  id: string,
  command: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (command.startsWith('/')) return [command]
  const searchPath = (await engine.inspect(id, signal))?.searchPath ?? DEFAULT_PATH
  const directories = searchPath.split(':').filter((directory) => directory.startsWith('/'))
  return directories.map((directory) => `${directory}/${command}`)
}
