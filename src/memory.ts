import { setFlagsFromString } from 'node:v8'

const LOOK_EVERY_MS = 5_000
/** Of one processor: a server that uses more than this is at work. */
const BUSY_SHARE = 0.4

/**
 * Keeps V8's heap small while the server has little to do, and fast while it has much. By its defaults a heap of 45 MB
 * may grow fourfold, and the start alone fills it with garbage. To be called before the server is loaded.
 *
 * V8 reads these flags at each collection, so they act on a running one (`node --v8-options` lists them).
 */
export function keepHeapSmall(): void {
  saveMemory(true)
  let before = { cpuMs: cpuMs(), at: performance.now(), isBusy: false }
  const look = () => {
    const now = { cpuMs: cpuMs(), at: performance.now() }
    const isBusy = (now.cpuMs - before.cpuMs) / (now.at - before.at) > BUSY_SHARE
    // Twice in a row: a start is no work that goes on.
    saveMemory(!isBusy || !before.isBusy)
    before = { ...now, isBusy }
  }
  setInterval(look, LOOK_EVERY_MS).unref()
}

/**
 * With a young generation of 1 MB and early collections a proxied request takes some two fifths more processor time;
 * an old generation that may grow by 30 percent costs it nothing. A percentage of 0 leaves it to the mode.
 */
function saveMemory(isWanted: boolean): void {
  setFlagsFromString(isWanted ? '--memory-saver-mode' : '--no-memory-saver-mode')
  setFlagsFromString(`--heap-growing-percent=${isWanted ? 0 : 30}`)
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}
