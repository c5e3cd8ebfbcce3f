import { randomUUID } from 'node:crypto'
import { readProc, readStat, signalProcess } from './script/identity.ts'

/** Stands in the environment of each command that Hive runs inside a cocoon, and so in that of all it starts. */
const NAME = 'HIVE_EXEC_MARK'
/** What is begun just while its parent is ended is met by the next look. */
const LOOKS = 5

/** Marks that somebody still waits for. */
const awaited = new Set<string>()

/** Knows the processes of one command again, whatever has become of their parents and sessions. Ends with `end`. */
export class CheckMark {
  readonly #cocoon: string
  readonly #value: string

  /** @param cocoon  names it: a Hive inside of it marks the commands of its own cocoons, too. */
  constructor(cocoon: string) {
    this.#cocoon = `${cocoon}.`
    this.#value = `${cocoon}.${randomUUID()}`
    awaited.add(this.#value)
  }

  /** What to add to the command's environment. */
  get variable(): readonly [name: string, value: string] {
    return [NAME, this.#value]
  }

  /**
   * KILL to what the command has left running, and to what others have that nobody waits for any more: a slow engine
   * begins a command after its caller gave up, and a Hive that died has left some. Synchronous, so that no pid passes to
   * somebody else between the look and the signal. A process that has cleared its environment is not seen.
   *
   * @param members  the processes of the cocoon as of now.
   */
  endLeft(members: () => readonly number[]): void {
    for (let look = 0; look < LOOKS; look++) {
      const left = members().flatMap((pid) => (this.#isLeft(pid) ? (readStat(pid) ?? []) : []))
      const killed = left.filter((process) => signalProcess(process, 'SIGKILL'))
      if (killed.length === 0) return
    }
  }

  /** Nobody waits for the command any more. */
  end(members: () => readonly number[]): void {
    awaited.delete(this.#value)
    this.endLeft(members)
  }

  #isLeft(pid: number): boolean {
    const entry = readProc(pid, 'environ')
      ?.split('\0')
      .find((text) => text.startsWith(`${NAME}=${this.#cocoon}`))
    const value = entry?.slice(NAME.length + 1)
    return value !== undefined && (value === this.#value || !awaited.has(value))
  }
}
