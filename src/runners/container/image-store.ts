import type { ContainerConfig } from '../../kinds/kind.ts'
import { LaunchRefused, type Prepared, type PrepareProgress } from '../driver.ts'
import type { Engine } from './engine.ts'
import { pullImage } from './pull.ts'
import { findCredentials, type RunCredentialHelper, usualAuthFiles } from './registry-auth.ts'
import { EngineRefusal } from './request.ts'
import { SingleFlight } from './single-flight.ts'
import type { Timeouts } from './timeouts.ts'

export interface ImageStoreOptions {
  readonly type: 'docker' | 'podman'
  readonly registryAuthFile: string | null
  readonly home: string | null
  readonly onWarning: (message: string) => void
  readonly runCredentialHelper?: RunCredentialHelper
}

type OnProgress = (progress: PrepareProgress) => void

/** Sees to it that an image is there, as the kind's `pull` says. Cocoons that want the same image share one pull. */
export class ImageStore {
  readonly #options: ImageStoreOptions
  readonly #timeouts: Timeouts
  readonly #pulls = new SingleFlight<PrepareProgress>()

  constructor(options: ImageStoreOptions, timeouts: Timeouts) {
    this.#options = options
    this.#timeouts = timeouts
  }

  /** @throws LaunchRefused · RunnerUnreachable, as `prepare` of the driver. */
  async provide(
    engine: Engine,
    { image, pull }: Pick<ContainerConfig, 'image' | 'pull'>,
    onProgress: OnProgress,
    signal: AbortSignal,
  ): Promise<Prepared> {
    const present = await this.#look(engine, image, signal)
    if (present !== null && pull !== 'always') return { exposed: present.exposed, pullMs: null }
    if (pull === 'never')
      throw new LaunchRefused(`the image ${image} is not on the engine, and the kind says "pull": "never"`)
    const began = performance.now()
    const job = (report: OnProgress, stop: AbortSignal): Promise<void> => this.#pull(engine, image, report, stop)
    await this.#pulls.join(`${engine.facts.id} ${image}`, job, onProgress, signal)
    const pulled = await this.#look(engine, image, signal)
    if (pulled === null)
      throw new LaunchRefused(`the image ${image} was pulled, but the engine does not know it by this name`)
    return { exposed: pulled.exposed, pullMs: Math.round(performance.now() - began) }
  }

  close(): void {
    this.#pulls.close()
  }

  async #pull(engine: Engine, image: string, onProgress: OnProgress, signal: AbortSignal): Promise<void> {
    const { type, registryAuthFile, home, onWarning, runCredentialHelper } = this.#options
    const files =
      registryAuthFile === null ? usualAuthFiles(type, home, process.getuid?.() ?? null) : [registryAuthFile]
    const search = {
      files,
      isNamed: registryAuthFile !== null,
      runCredentialHelper: runCredentialHelper ?? null,
      onWarning,
    }
    const credentials = await findCredentials(image, search, signal)
    await pullImage(engine, { image, credentials, timeouts: this.#timeouts }, onProgress, signal)
  }

  async #look(engine: Engine, image: string, signal: AbortSignal) {
    try {
      return await engine.image(image, signal)
    } catch (error) {
      if (!(error instanceof EngineRefusal)) throw error
      throw new LaunchRefused(`the engine refused the image reference ${image}: ${error.message}`)
    }
  }
}
