import { readdirSync, readFileSync, statSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { NumberRange } from '../../settings.ts'
import { LaunchRefused } from '../driver.ts'
import { type RunRoot, servicesIn } from './run-directory.ts'

/** A launch may wait for its turn between its claim and its files. */
const CLAIM_AGE_MS = 3_600_000

/**
 * Uids of `user: "auto"`: one per service, held from its first attempt until its removal.
 *
 * A claim is a file `run/.uid-<number>` with the service's id in it, made with O_EXCL: two starts, even of two
 * processes, cannot get the same number, and a restart of Hive finds who has which.
 */
export interface UidPool {
  /** The service's uid, claimed now if it has none. @throws LaunchRefused  none is free. */
  claim(id: string): Promise<number>
  /** Gives it back: nothing of the service is left. Repeatable. */
  release(id: string): Promise<void>
}

export function openUidPool(runs: RunRoot, workRoot: string, range: NumberRange): UidPool {
  const file = (uid: number) => join(runs.path, `.uid-${uid}`)
  return {
    claim: async (id) => {
      await mkdir(runs.path, { recursive: true, mode: 0o700 })
      const claims = claimsIn(runs)
      const own = uidOf(claims, id)
      if (own !== null) return own
      const avoided = new Set([...namedUids(), ...runningUids(), ...ownersIn(workRoot)])
      for (let uid = range.first; uid <= range.last; uid++) {
        if (claims.has(uid) || avoided.has(uid)) continue
        if (await claimed(file(uid), id)) return uid
      }
      throw new LaunchRefused(`All uids of HIVE_UID_RANGE (${range.first}-${range.last}) are in use: make it larger`)
    },
    release: async (id) => {
      for (const [uid, holder] of claimsIn(runs)) if (holder === id) await rm(file(uid), { force: true })
    },
  }
}

/** Lets go the claims of services that have neither a run directory nor files any more, unless they are about to get one. */
export async function sweepUids(runs: RunRoot, workRoot: string): Promise<void> {
  const known = new Set([...servicesIn(runs), ...namesIn(workRoot)])
  for (const [uid, id] of claimsIn(runs)) {
    const file = join(runs.path, `.uid-${uid}`)
    const age = Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
    if (!known.has(id) && age > CLAIM_AGE_MS) await rm(file, { force: true })
  }
}

async function claimed(file: string, id: string): Promise<boolean> {
  try {
    await writeFile(file, id, { flag: 'wx', mode: 0o600 })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function claimsIn(runs: RunRoot): Map<number, string> {
  const claims = new Map<number, string>()
  for (const name of namesIn(runs.path)) {
    const [, uid] = /^\.uid-(\d+)$/.exec(name) ?? []
    if (uid !== undefined) claims.set(Number(uid), holderOf(join(runs.path, name)))
  }
  return claims
}

function uidOf(claims: ReadonlyMap<number, string>, id: string): number | null {
  for (const [uid, holder] of claims) if (holder === id) return uid
  return null
}

function holderOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** Accounts of the host are nobody's own uid. */
function namedUids(): number[] {
  try {
    return readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .map((line) => Number(line.split(':')[2]))
  } catch {
    return []
  }
}

/** Another Hive may have been given the same range: who runs as a uid has it. */
function runningUids(): number[] {
  return ownersOf(
    '/proc',
    namesIn('/proc').filter((name) => /^\d+$/.test(name)),
  )
}

function ownersIn(folder: string): number[] {
  return ownersOf(folder, namesIn(folder))
}

function ownersOf(folder: string, names: readonly string[]): number[] {
  return names.flatMap((name) => {
    try {
      return statSync(join(folder, name)).uid
    } catch {
      return []
    }
  })
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}
