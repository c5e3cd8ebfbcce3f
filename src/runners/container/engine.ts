import type { IncomingMessage } from 'node:http'
import { RunnerUnreachable } from '../driver.ts'
import {
  type ExecState,
  type FileMode,
  type ImageInfo,
  isOfEngine,
  readExec,
  readImage,
  readMode,
  saysNone,
} from './answers.ts'
import { type ContainerInfo, readContainer } from './container-info.ts'
import type { CreateBody } from './create-options.ts'
import { EngineCalls } from './engine-calls.ts'
import type { EngineFacts } from './engine-facts.ts'
import { MissedOom } from './missed-oom.ts'
import { dropAll, type EngineLine, open, refusalOf } from './request.ts'
import { splitReference } from './split-reference.ts'
import { inTime } from './time-limit.ts'
import type { Timeouts } from './timeouts.ts'
import { correctUnseenEnd } from './unseen-end.ts'
import { waitedCode, waitRequest } from './wait-request.ts'

/** The code of a command of which the engine knows no more. */
const GONE_CODE = 255
const FULL_ID = /^[0-9a-f]{64}$/

/** A command for a container, and what is added to the environment that it has there (`NAME=value`). */
export interface ExecOrder {
  readonly command: readonly string[]
  readonly env: readonly string[]
}

type Confirm = (signal: AbortSignal) => Promise<void>

/**
 * The calls of the Engine API that Hive makes (Docker Engine API 1.41; Podman serves the same). Each has a deadline.
 * All throw RunnerUnreachable, the caller's reason on abort, and EngineRefusal for an answer that is no.
 */
export class Engine {
  readonly facts: EngineFacts
  readonly #line: EngineLine
  readonly #timeouts: Timeouts
  readonly #calls: EngineCalls
  readonly #confirm: Confirm
  readonly #oom = new MissedOom()

  /** @param confirm  throws RunnerUnreachable unless the line still leads to the engine of these facts. */
  constructor(line: EngineLine, facts: EngineFacts, timeouts: Timeouts, confirm: Confirm) {
    this.#line = line
    this.facts = facts
    this.#timeouts = timeouts
    this.#calls = new EngineCalls(line, facts, timeouts.callMs)
    this.#confirm = confirm
  }

  get address(): string {
    return this.#line.address
  }

  async image(reference: string, signal: AbortSignal): Promise<ImageInfo | null> {
    const path = `/images/${reference}/json`
    const answer = await this.#calls.askFor('image', { method: 'GET', path }, signal, { ok: [200] })
    return answer === null ? null : readImage(answer.body)
  }

  /** The stream of progress lines; a status other than 200 is thrown by the reader of it. */
  pull(
    reference: string,
    registryAuth: Readonly<Record<string, string>> | null,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const { name, tag } = splitReference(reference)
    const query = { fromImage: name, tag }
    return open(this.#line, { method: 'POST', path: '/images/create', query, registryAuth }, signal)
  }

  /** @returns the id of the new container. */
  async create(name: string, body: CreateBody, signal: AbortSignal): Promise<string> {
    const request = { method: 'POST', path: '/containers/create', query: { name }, body } as const
    const answer = await this.#calls.ask(request, signal, [200, 201], this.#timeouts.startMs)
    const id = (answer.body as { Id?: unknown } | null)?.Id
    if (typeof id !== 'string') throw this.#nonsense('create')
    // A new daemon makes a new socket, which is noticed before; behind another machine's port nothing is seen to change.
    if (!this.address.startsWith('unix:')) await this.#confirm(signal)
    return id
  }

  /** What stands at an absolute path of the container's files; null if nothing. Works before it was ever started. */
  async file(id: string, path: string, signal: AbortSignal): Promise<FileMode | null> {
    const request = { method: 'HEAD', path: `/containers/${id}/archive`, query: { path } } as const
    const answer = await this.#calls.askFor('container', request, signal, { ok: [200] })
    if (answer === null) return null
    const mode = readMode(answer.headers['x-docker-container-path-stat'])
    if (mode === null) throw this.#nonsense('a look at a file')
    return mode
  }

  /**
   * @returns false if it ran already. Of two calls that meet dockerd (20.10) may say 204 to both, though it starts it
   * once: whoever waited for the other's start is told 304 only if it looked after its end (moby `containerStart`).
   */
  async start(id: string, signal: AbortSignal): Promise<boolean> {
    const request = { method: 'POST', path: `/containers/${id}/start` } as const
    return (await this.#calls.ask(request, signal, [200, 204, 304], this.#timeouts.startMs)).status !== 304
  }

  /** @param reference  id or name. @returns null if there is none; only this very engine can say so. */
  async inspect(reference: string, signal: AbortSignal): Promise<ContainerInfo | null> {
    const request = { method: 'GET', path: `/containers/${encodeURIComponent(reference)}/json` } as const
    const answer = await this.#calls.askFor('container', request, signal, { ok: [200] })
    if (answer === null) {
      await this.#confirm(signal)
      return null
    }
    const container = readContainer(answer.body)
    const isOther = FULL_ID.test(reference) && container?.id !== reference
    if (container === null || isOther) throw this.#nonsense('inspect')
    return correctUnseenEnd(this.#oom.correct(container, this.facts), this.facts)
  }

  /** Resolves when it does not run (any more), with its exit code; null if there is no such container. No deadline. */
  async wait(id: string, signal: AbortSignal): Promise<number | null> {
    const answer = await this.#calls.askFor('container', waitRequest(this.facts, id), signal, {
      ok: [200, 500],
      deadlineMs: null,
    })
    // Podman (4.3) answers 500 if it is removed meanwhile.
    if (answer === null || (answer.status === 500 && saysNone('container', answer))) return null
    if (answer.status === 500) throw refusalOf(answer)
    const code = waitedCode(answer.body)
    // A daemon that shuts down ends the answer it began without a word.
    if (code === null) throw this.#nonsense('wait')
    return code
  }

  /** TERM, KILL after `graceMs` (whole seconds, rounded up). Fine if it does not run or is gone. */
  async stop(id: string, graceMs: number, signal: AbortSignal): Promise<void> {
    const request = {
      method: 'POST',
      path: `/containers/${id}/stop`,
      query: { t: Math.ceil(graceMs / 1_000) },
    } as const
    await this.#calls.askFor('container', request, signal, {
      ok: [200, 204, 304],
      deadlineMs: graceMs + this.#timeouts.stopExtraMs,
    })
  }

  /** The stream of log records with their times; null if there is no such container. @param sinceS  Unix seconds. */
  async logs(
    id: string,
    { follow, sinceS }: { readonly follow: boolean; readonly sinceS: number },
    signal: AbortSignal,
  ): Promise<IncomingMessage | null> {
    const query = { follow: follow ? 1 : 0, stdout: 1, stderr: 1, timestamps: 1, ...(sinceS > 0 && { since: sinceS }) }
    const response = await open(this.#line, { method: 'GET', path: `/containers/${id}/logs`, query }, signal)
    if (response.statusCode === 200) return response
    response.on('error', () => undefined).destroy()
    if (response.statusCode === 404 && isOfEngine(response.headers)) return null
    throw new RunnerUnreachable(`${this.address}: no logs (status ${response.statusCode})`)
  }

  async kill(id: string, signal: AbortSignal): Promise<void> {
    const request = { method: 'POST', path: `/containers/${id}/kill`, query: { signal: 'KILL' } } as const
    await this.#calls.askFor('container', request, signal, { ok: [200, 204, 409] })
  }

  async unpause(id: string, signal: AbortSignal): Promise<void> {
    await this.#calls.askFor('container', { method: 'POST', path: `/containers/${id}/unpause` }, signal, {
      ok: [200, 204],
    })
  }

  /** Also kills it and removes its anonymous volumes. @returns true if it was done, false if one has to look. */
  async remove(id: string, signal: AbortSignal): Promise<boolean> {
    const request = { method: 'DELETE', path: `/containers/${id}`, query: { force: true, v: true } } as const
    const answer = await this.#calls.askFor('container', request, signal, {
      ok: [200, 204, 409],
      deadlineMs: this.#timeouts.startMs,
    })
    return answer?.status === 204
  }

  /** @returns false if something still uses it. */
  async removeVolume(name: string, signal: AbortSignal): Promise<boolean> {
    const request = { method: 'DELETE', path: `/volumes/${name}` } as const
    return (await this.#calls.askFor('volume', request, signal, { ok: [200, 204, 409] }))?.status !== 409
  }

  /** A network as the engine describes it; null if there is none of this name. */
  async network(name: string, signal: AbortSignal): Promise<unknown> {
    const answer = await this.#calls.askFor('network', { method: 'GET', path: `/networks/${name}` }, signal, {
      ok: [200],
    })
    return answer?.body ?? null
  }

  /** All containers with this label, running or not, as the engine lists them. @param filters  further ones. */
  async list(
    label: string,
    signal: AbortSignal,
    filters: Readonly<Record<string, readonly string[]>> = {},
  ): Promise<readonly unknown[]> {
    const request = {
      method: 'GET',
      path: '/containers/json',
      query: { all: true, filters: { label: [label], ...filters } },
    } as const
    const { body } = await this.#calls.ask(request, signal, [200])
    if (!Array.isArray(body)) throw this.#nonsense('list')
    return body
  }

  /** @returns the id of a command that is still to be started in a running container; its output goes nowhere. */
  async createExec(containerId: string, { command, env }: ExecOrder, signal: AbortSignal): Promise<string> {
    const body = { Cmd: command, Env: env, AttachStdin: false, AttachStdout: true, AttachStderr: true, Tty: false }
    const request = { method: 'POST', path: `/containers/${containerId}/exec`, body } as const
    const { body: answer } = await inTime(this.#calls.ask(request, signal, [200, 201]), signal)
    const id = (answer as { Id?: unknown } | null)?.Id
    if (typeof id !== 'string') throw this.#nonsense('exec')
    return id
  }

  /**
   * Starts a command and drops its output until it ends. Attached, although nobody reads it: of a detached one Podman
   * (4.3) says for ever that it runs.
   */
  async startExec(id: string, signal: AbortSignal): Promise<void> {
    const body = { Detach: false, Tty: false }
    const request = { method: 'POST', path: `/exec/${id}/start`, body } as const
    const output = await inTime(open(this.#line, request, signal), signal)
    const { statusCode: status = 0, headers } = output
    await dropAll(output, signal)
    if (status >= 400) throw refusalOf({ status, body: null, headers })
  }

  /** How it goes with a command. The engine forgets it with its container, or some time after its end. */
  async execState(id: string, signal: AbortSignal): Promise<ExecState> {
    const request = { method: 'GET', path: `/exec/${id}/json` } as const
    const answer = await inTime(this.#calls.askFor('exec', request, signal, { ok: [200] }), signal)
    return answer === null ? { state: 'ended', code: GONE_CODE } : readExec(answer.body)
  }

  /** One measurement as the engine gives it; null = it does not run. Has its own deadline, as all calls. */
  async stats(id: string, signal: AbortSignal): Promise<unknown> {
    const query = { stream: false, 'one-shot': true }
    const request = { method: 'GET', path: `/containers/${id}/stats`, query, isMeasurement: true } as const
    const answer = await this.#calls.askFor('container', request, signal, { ok: [200, 409] })
    return answer?.status === 200 ? answer.body : null
  }

  #nonsense(call: string): Error {
    return new RunnerUnreachable(`${this.address}: the answer to ${call} is not what the Engine API describes`)
  }
}
