import type { LaunchSpec } from '../driver.ts'

/** Labels by which Hive knows its own. Visible to everyone who may ask the engine, so never a secret. */
export const LABEL = {
  instance: 'hive.instance',
  id: 'hive.id',
  name: 'hive.name',
  kind: 'hive.kind',
  config: 'hive.config',
  /** The attempt that created the container; later ones start the same container, and labels never change. */
  attempt: 'hive.attempt',
  /** The exposed port inside, to find the endpoint again. */
  port: 'hive.port',
} as const

export type Labels = Readonly<Record<string, string>>

export function labelsOf(spec: LaunchSpec, instanceId: string): Labels {
  const [exposed] = spec.ports
  return {
    [LABEL.instance]: instanceId,
    [LABEL.id]: spec.id,
    [LABEL.name]: spec.name,
    [LABEL.kind]: spec.kind,
    [LABEL.config]: spec.configHmac,
    [LABEL.attempt]: String(spec.attempt),
    ...(exposed === undefined ? {} : { [LABEL.port]: String(exposed.port) }),
  }
}

/** True if the container is the object of this service of this Hive. */
export function isOwn(labels: Labels, spec: LaunchSpec, instanceId: string): boolean {
  return labels[LABEL.instance] === instanceId && labels[LABEL.id] === spec.id
}
