import type { ProcessIdentity } from './identity.ts'

/** Who is meant: everything that must match before anything is signalled. */
export interface CocoonIdentity {
  readonly bootId: string
  /** Null while the worker has not recorded itself yet. */
  readonly worker: ProcessIdentity | null
  /** Absolute path of the cgroup leaf; null = contained by process group only. */
  readonly leaf: string | null
  /** The value of the mark in the environment of the cocoon's processes. */
  readonly mark: string
}

/** All processes of one cocoon, however it is contained. Looking is synchronous: see identity.ts. */
export interface Cage {
  /** Finds what has left the cage since, which none of the others does by itself. */
  look(): Promise<void>
  /** The processes that belong to the cocoon now, each verified. */
  members(): readonly ProcessIdentity[]
  isEmpty(): boolean
  /** Lets what somebody has frozen run on, so that it can act on a signal. */
  thaw(): Promise<void>
  /** KILL to everything. */
  kill(): Promise<void>
  /** Removes what the kernel keeps for it. @returns false if something has come into it meanwhile. */
  release(): Promise<boolean>
}
