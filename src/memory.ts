import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const LOOK_EVERY_MS = 1_000
/** Of one processor: a server that uses more than this is at work. Where others want the processor it may get no more. */
const BUSY_SHARE = 0.2
/** Looks in a row: a pause in work is not its end, but after a start one quiet second is. */
const BUSY_LOOKS = 2
const QUIET_LOOKS = 30
const QUIET_LOOKS_AT_START = 1
/** In percent; what a start makes is mostly garbage. */
const GROWTH_AT_START = 30
/** Buffers count as growth: with 30 percent, answers of 100 KB have the whole heap marked every 150 requests. */
const GROWTH_AT_WORK = 100

export interface HeapMode {
  readonly saves: boolean
  /** How many looks in a row spoke against this mode, and how many end it. */
  readonly against: number
  readonly enough: number
}

export const AT_START: HeapMode = { saves: false, against: 0, enough: QUIET_LOOKS_AT_START }
const AT_WORK: HeapMode = { saves: false, against: 0, enough: QUIET_LOOKS }

/** What a heap does after one more look. @param share  of one processor, used since the look before. */
export function afterLook(mode: HeapMode, share: number): HeapMode {
  const speaksAgainst = share > BUSY_SHARE === mode.saves
  const against = speaksAgainst ? mode.against + 1 : 0
  if (against < mode.enough) return { ...mode, against }
  return { saves: !mode.saves, against: 0, enough: mode.saves ? QUIET_LOOKS : BUSY_LOOKS }
}

/**
 * Keeps V8's heap small while the server has little to do, and fast while it starts and works. By its defaults a heap of
 * 45 MB may grow fourfold, and the start alone fills it with garbage that nothing collects while nothing happens.
 *
 * V8 reads these flags at each collection, so they act on a running one (`node --v8-options` lists them).
 */
export function keepHeapSmall(): void {
  let mode = AT_START
  let before = { cpuMs: cpuMs(), at: performance.now() }
  act(mode, GROWTH_AT_START)
  const look = () => {
    const now = { cpuMs: cpuMs(), at: performance.now() }
    const share = buffersSeen ? 1 : (now.cpuMs - before.cpuMs) / (now.at - before.at)
    const next = afterLook(mode, share)
    if (next.saves !== mode.saves) act(next, GROWTH_AT_WORK)
    mode = next
    before = now
    buffersSeen = false
  }
  toWork = () => {
    if (mode === AT_WORK) return
    mode = AT_WORK
    act(mode, GROWTH_AT_WORK)
  }
  setInterval(look, LOOK_EVERY_MS).unref()
}

let buffersSeen = false
let toWork: () => void = () => undefined

/**
 * Megabytes have passed: that is work, however little of a processor it takes. A heap that saves memory marks itself for
 * each few of them, which makes a stream three times as dear.
 */
export function buffersPassed(): void {
  if (!buffersSeen) toWork()
  buffersSeen = true
  collectYoung()
}

/**
 * With a young generation of 1 MB and early collections a proxied request takes some two fifths more processor time.
 * At a percentage of 0 the mode decides how far the old generation may grow.
 */
function act({ saves }: HeapMode, growth: number): void {
  setFlagsFromString(saves ? '--memory-saver-mode' : '--no-memory-saver-mode')
  setFlagsFromString(`--heap-growing-percent=${saves ? 0 : growth}`)
  if (saves) collect()
}

/** A full collection that gives pages back to the system; some 50 ms, in a quiet moment. */
function collect(): void {
  collector()({ type: 'major', flavor: 'last-resort' })
}

/** A collection of what was made lately, buffers included; about 1 ms. */
function collectYoung(): void {
  collector()({ type: 'minor' })
}

type Collect = (options: object) => void
let known: Collect | null = null

function collector(): Collect {
  if (known === null) {
    setFlagsFromString('--expose-gc')
    known = runInNewContext('gc') as Collect
  }
  return known
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}
