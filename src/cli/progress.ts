import type { CliIo } from './io.ts'
import { printable } from './io.ts'
import type { Service } from './service.ts'
import { formatMs } from './time.ts'

/** Shows on stderr how a cocoon comes up: one living line on a terminal, else a plain line per change. */
export interface ProgressView {
  show(service: Service): void
  /** Leaves the terminal line clean. */
  end(): void
}

export function createProgress(io: CliIo, isDumb: boolean): ProgressView {
  return io.stderr.isTTY === true && !isDumb ? livingLine(io) : plainLines(io)
}

function livingLine(io: CliIo): ProgressView {
  const startedAt = performance.now()
  return {
    show(service) {
      const time = formatMs(performance.now() - startedAt)
      const { fqn, state, progress } = service
      // What may be long, the name of the image, comes last: the end is cut where the terminal ends.
      const text = `${fqn}  ${state}${pullText(progress)}  ${time}${progress ? `  ${progress.message}` : ''}`
      // A terminal that does not know its width says 0.
      const width = (io.stderr.columns || 80) - 1
      io.stderr.write(`\r\x1b[K${printable(text).slice(0, width)}`)
    },
    end: () => io.stderr.write('\r\x1b[K'),
  }
}

function plainLines(io: CliIo): ProgressView {
  let last = ''
  return {
    show(service) {
      // Bytes change all the time: for a log, layers and states are news.
      const line = printable(`${service.fqn}  ${service.state}${layersText(service.progress)}`)
      if (line !== last) io.stderr.write(`${line}\n`)
      last = line
    },
    end: () => undefined,
  }
}

function pullText(progress: Service['progress']): string {
  if (!progress) return ''
  const { current_bytes: current, total_bytes: total } = progress
  const amount = current === null ? '' : `  ${megabytes(current)}${total ? ` of ${megabytes(total)}` : ''} MB`
  return `${amount}${layersText(progress, false)}`
}

function layersText(progress: Service['progress'], withPhase = true): string {
  if (!progress) return ''
  const { layers_done: done, layers_total: total, phase } = progress
  const layers = total ? `  layers ${done ?? 0}/${total}` : ''
  return withPhase ? `  ${phase}${layers}` : layers
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1)
}
