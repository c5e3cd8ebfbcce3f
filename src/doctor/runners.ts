import type { KindSpec, RunnerType } from '../kinds/kind.ts'
import type { Availability, KindFacts, RunnerDriver } from '../runners/driver.ts'
import { bad, type Finding, ok, warn } from './finding.ts'

const PROBE_MS = 10_000

/** Asks each runner, and then what each kind lacks. */
export async function checkRunners(
  drivers: readonly RunnerDriver[],
  kinds: readonly KindSpec[],
): Promise<readonly Finding[]> {
  const answers = new Map<RunnerType, Availability>()
  await Promise.all(
    drivers.map(async (driver) => {
      const signal = AbortSignal.timeout(PROBE_MS)
      const answer = await driver.probe(signal).catch((error: unknown) => ({ available: false, reason: String(error) }))
      answers.set(driver.type, answer)
    }),
  )
  const ofRunners = [...answers].map(([runner, answer]) => onRunner(runner, answer, waiting(runner, kinds)))
  const spawnable = kinds.filter(({ runner_type }) => answers.get(runner_type)?.available === true)
  return [...ofRunners, ...spawnable.map((kind) => onKind(kind, drivers))]
}

function waiting(runner: RunnerType, kinds: readonly KindSpec[]): readonly string[] {
  return kinds.filter(({ runner_type }) => runner_type === runner).map(({ id }) => id)
}

function onRunner(runner: RunnerType, { available, reason }: Availability, kinds: readonly string[]): Finding {
  if (available) return ok('runner', `${runner} answers`)
  const said = `${runner}: ${reason ?? 'not available'}`
  if (kinds.length === 0) return ok('runner', `${said} (no kind uses it)`)
  return bad('runner', said, `until then these kinds cannot be spawned: ${kinds.join(', ')}`)
}

function onKind(kind: KindSpec, drivers: readonly RunnerDriver[]): Finding {
  const facts = drivers.find(({ type }) => type === kind.runner_type)?.describe(kind.config)
  const name = `${kind.id} (${kind.runner_type})`
  if (facts?.available !== true)
    return bad('kind', `${name}: ${facts?.reason ?? 'not available'}`, 'mend it, or leave the kind out')
  return contained(name, facts)
}

/** A process group holds only what wants to be held; cgroups hold everything. */
function contained(name: string, { containment }: KindFacts): Finding {
  if (containment !== 'group') return ok('kind', `${name} can be spawned, contained by ${containment}`)
  const mend = 'for cgroups run Hive as root, or in a delegated cgroup (systemd: Delegate=yes)'
  return warn('kind', `${name} can be spawned, but only its process group contains it`, mend)
}
