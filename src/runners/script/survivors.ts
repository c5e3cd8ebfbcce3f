import { readlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { ScriptHandle } from './handle.ts'
import type { ScriptHost } from './host.ts'
import { readProc } from './identity.ts'
import { isLauncher } from './launcher.ts'
import { listenersOn } from './listener.ts'
import { targetOf } from './objects.ts'
import { readMarker } from './run-directory.ts'
import { nextCensus } from './traces.ts'

/**
 * What seems to go on of a cocoon after its stop: who listens on its ports, and, where it had no leaf, who is in its own
 * working directory. A descendant that left session, parent, environment and output leaves no other trace.
 */
export async function survivorsOf(host: ScriptHost, script: ScriptHandle): Promise<readonly string[]> {
  const { directory, bootId } = targetOf(host, script)
  if (script.identity.bootId !== bootId) return []
  const known = readMarker(directory)?.ports?.map(({ port }) => port)
  const ports = known ?? (script.endpoint ? [script.endpoint.port] : [])
  const listening = ports.flatMap((port) => listenersOn(port).map((pid) => told(pid, `listens on its port ${port}`)))
  if (script.identity.leaf !== null) return listening
  const work = join(host.workRoot, script.id)
  const { living } = await nextCensus()
  const inside = living.filter(({ pid }) => isBelow(cwdOf(pid), work) && !isLauncher(readProc(pid, 'cmdline') ?? ''))
  return [...listening, ...inside.map(({ pid }) => told(pid, 'is in its working directory'))]
}

function told(pid: number, what: string): string {
  const [, name = ''] = /^Name:\t(.*)$/m.exec(readProc(pid, 'status') ?? '') ?? []
  return `process ${pid} (${name}) ${what}`
}

function isBelow(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`)
}

function cwdOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return '' // it has ended, or is not ours to look into
  }
}
