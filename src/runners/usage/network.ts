import { readFileSync, readlinkSync } from 'node:fs'
import type { Usage } from './usage.ts'

/** proc_pid_net(5), `dev`: name, then received bytes first and transmitted bytes ninth. */
const LINE = /^\s*([^:\s]+):\s*(\d+)(?:\s+\d+){7}\s+(\d+)/

/** What went through a process's network namespace; null = it is Hive's own, or may not be read. */
export function networkOf(pid: number): Usage['network'] {
  try {
    if (readlinkSync(`/proc/${pid}/ns/net`) === readlinkSync('/proc/self/ns/net')) return null
    return sum(readFileSync(`/proc/${pid}/net/dev`, 'latin1'))
  } catch {
    return null // it has ended, or is somebody else's
  }
}

function sum(table: string): Usage['network'] {
  let [rxBytes, txBytes] = [0, 0]
  for (const line of table.split('\n')) {
    const [, name, received, sent] = LINE.exec(line) ?? []
    if (name === undefined || name === 'lo') continue
    rxBytes += Number(received)
    txBytes += Number(sent)
  }
  return { rxBytes, txBytes }
}
