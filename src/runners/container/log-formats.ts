import { splitLines } from '../../logs/split-lines.ts'
import type { OutputPiece } from '../driver.ts'

/** How an engine keeps a container's log in files of its own. */
export interface LogFormat {
  /** All files there may be, the oldest first, the one being written last. */
  readonly names: (path: string) => readonly string[]
  /** One line of a file without its line feed; null = it makes no sense. */
  readonly read: (line: Buffer) => FileRecord | null
}

export interface FileRecord {
  /** As the engine wrote it. */
  readonly stamp: string
  readonly pieces: readonly OutputPiece[]
}

interface JsonLine {
  readonly log?: unknown
  readonly stream?: unknown
  readonly time?: unknown
}

const MAX_FILES = 3

/** Docker's `json-file`: a line feed at the end of `log` unless the line goes on in the next record. */
const JSON_FILE: LogFormat = {
  names: (path) => [...Array.from({ length: MAX_FILES - 1 }, (_, index) => `${path}.${MAX_FILES - 1 - index}`), path],
  read: (line) => {
    const { log, stream, time } = parse(line)
    if (typeof log !== 'string' || typeof time !== 'string') return null
    return recordOf(time, stream, Buffer.from(log))
  },
}

/** Podman's `k8s-file`: `<time> <stream> <F|P> <text>`, P = the line goes on in the next record. */
const K8S_FILE: LogFormat = {
  names: (path) => [path],
  read: (line) => {
    const [, stamp, stream, tag] = /^(\S{19,40}) (stdout|stderr) ([FP]) /.exec(line.toString('latin1', 0, 64)) ?? []
    if (stamp === undefined) return null
    const text = line.subarray(stamp.length + (stream?.length ?? 0) + 4)
    return recordOf(stamp, stream, tag === 'P' ? text : Buffer.concat([text, Buffer.from('\n')]))
  },
}

export const FORMATS: Readonly<Record<'docker' | 'podman', LogFormat>> = { docker: JSON_FILE, podman: K8S_FILE }

function recordOf(stamp: string, stream: unknown, bytes: Buffer): FileRecord | null {
  const at = new Date(stamp)
  if (Number.isNaN(at.getTime())) return null
  const common = { stream: stream === 'stderr' ? 'stderr' : 'stdout', time: at.toISOString(), lost: null } as const
  const pieces = bytes.length === 0 ? [{ bytes, partial: true }] : splitLines(bytes, true).pieces
  return { stamp, pieces: pieces.map((piece) => ({ ...piece, ...common })) }
}

function parse(line: Buffer): JsonLine {
  try {
    return (JSON.parse(line.toString('utf8')) ?? {}) as JsonLine
  } catch {
    return {} // torn by a crash of the machine
  }
}
