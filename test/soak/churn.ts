import { setTimeout as delay } from 'node:timers/promises'
import type { RecordingClient, Reply } from '../support/crash/client.ts'

export interface ChurnOptions {
  /** Of this client, so that its names are its own most of the time. */
  readonly number: number
  readonly kinds: readonly string[]
  readonly random: () => number
  readonly counts: Map<string, number>
  readonly violations: string[]
}

const NAMES_EACH = 3

/** One client that does one thing after the other until it is told to stop. */
export async function churn(client: RecordingClient, options: ChurnOptions, signal: AbortSignal): Promise<void> {
  const known = new Map<string, { readonly id: string; readonly attempt: number }>()
  while (!signal.aborted) {
    const { random, counts } = options
    const [verb, act] = draw(options)
    const name = nameFor(options)
    const before = known.get(name)
    const reply = await act(client, name)
    const outcome = reply === null ? 'unanswered' : reply.status < 400 ? 'done' : 'refused'
    for (const key of [verb, outcome]) counts.set(key, (counts.get(key) ?? 0) + 1)
    note(known, name, verb, reply)
    if (verb === 'visit' && reply?.status === 200) judge(options, name, { reply, before })
    await delay(random() * 60, undefined, { signal }).catch(() => undefined) // told to stop
  }
}

type Act = (client: RecordingClient, name: string) => Promise<Reply | null>

/** What is done, and how often in a hundred. */
function draw({ random, kinds }: ChurnOptions): readonly [string, Act] {
  const kind = kinds[Math.floor(random() * kinds.length)] ?? 'script'
  const wait = random() < 0.5 ? '?wait=ready&timeout_s=20' : ''
  const table: readonly (readonly [number, string, Act])[] = [
    [25, 'create', (client, name) => client.create(kind, name, wait)],
    [15, 'delete', (client, name) => client.remove(name, random() < 0.3 ? '?wait=none' : '')],
    [8, 'restart', (client, name) => client.change('restart', name, wait)],
    [4, 'stop', (client, name) => client.change('stop', name, '')],
    [6, 'start', (client, name) => client.change('start', name, wait)],
    [4, 'show', (client, name) => client.show(name)],
    [38, 'visit', (client, name) => client.visit(name)],
  ]
  let left = random() * 100
  for (const [weight, verb, act] of table) {
    left -= weight
    if (left < 0) return [verb, act]
  }
  return ['show', (client, name) => client.show(name)]
}

/** Now and then somebody else's, so that clients meet. */
function nameFor({ number, random }: ChurnOptions): string {
  const owner = random() < 0.1 ? Math.max(0, number - 1) : number
  return `soak-${owner}-${Math.floor(random() * NAMES_EACH)}`
}

function note(
  known: Map<string, { readonly id: string; readonly attempt: number }>,
  name: string,
  verb: string,
  reply: Reply | null,
): void {
  if (verb === 'visit' || reply === null || reply.status >= 300) return
  const { id, attempt, state } = reply.body
  if (state === 'running') known.set(name, { id, attempt })
}

/** I6: nobody else answers under a name, and nothing older than what was seen running before the request was sent. */
function judge(
  { violations }: ChurnOptions,
  name: string,
  { reply, before }: { readonly reply: Reply; readonly before: { id: string; attempt: number } | undefined },
): void {
  if (typeof reply.body?.mark !== 'string') return // a container, which does not say who it is
  if (reply.body.name !== name) violations.push(`I6: ${reply.body.name} answered under ${name}`)
  const [id, attempt] = reply.body.mark.split('.')
  if (before !== undefined && before.id === id && Number(attempt) < before.attempt)
    violations.push(`I6: attempt ${attempt} of ${name} answered after attempt ${before.attempt} was running`)
}
