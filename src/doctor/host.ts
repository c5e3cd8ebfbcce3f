import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { HiveConfig } from '../settings.ts'
import { bad, type Finding, ok, warn } from './finding.ts'

const NODE_MAJOR = 24
/** A cocoon takes a few descriptors, a tunnel two. */
const FEW_FILES = 4096

/** What Hive needs of the machine, beside its runners. */
export async function checkHost(config: HiveConfig): Promise<readonly Finding[]> {
  const ports = [config.port, config.proxyPort].filter((port) => port !== null)
  return [checkNode(), ...(await Promise.all(ports.map((port) => checkPort(config.host, port)))), await checkFiles()]
}

function checkNode(): Finding {
  const text = `Node ${process.versions.node}`
  const isNew = Number.parseInt(process.versions.node, 10) >= NODE_MAJOR
  return isNew ? ok('node', text) : bad('node', text, `use Node ${NODE_MAJOR} or newer`)
}

async function checkPort(host: string, port: number): Promise<Finding> {
  if (port === 0) return ok('port', 'any free port is taken')
  const server = createServer()
  try {
    server.listen({ host, port, exclusive: true })
    await once(server, 'listening')
    return ok('port', `${host}:${port} is free`)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EADDRINUSE')
      return warn('port', `${host}:${port} is in use: by this Hive if it runs, else by another program`)
    return bad(
      'port',
      `${host}:${port} cannot be listened on (${code})`,
      'set HIVE_HOST and HIVE_PORT to what this user may use',
    )
  } finally {
    server.close()
  }
}

/** proc_pid_limits(5); elsewhere nothing is known and nothing is said. */
async function checkFiles(): Promise<Finding> {
  const text = await readFile('/proc/self/limits', 'utf8').catch(() => '')
  const [, soft, hard] = /^Max open files\s+(\d+|unlimited)\s+(\d+|unlimited)/m.exec(text) ?? []
  if (soft === undefined || hard === undefined) return ok('limits', 'the limit of open files is not known here')
  // Node raises its own soft limit to the hard one.
  const isFew = hard !== 'unlimited' && Number(hard) < FEW_FILES
  const said = `${hard} open files are allowed`
  return isFew
    ? warn('limits', said, `raise it (ulimit -n, LimitNOFILE) for many cocoons or connections`)
    : ok('limits', said)
}
