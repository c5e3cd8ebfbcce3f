import type { ActionContext, SupervisorParts } from '../context.ts'

/**
 * The parts with the signaling URL as this service's cocoon reaches it.
 * @throws LaunchRefused  it cannot be reached from there. @throws RunnerUnreachable
 */
export async function partsForLaunch(context: ActionContext, signal: AbortSignal): Promise<SupervisorParts> {
  const { parts, driver } = context
  if (!parts.reachSignaling) return parts
  return { ...parts, signalingUrl: await parts.reachSignaling(driver, context.row().handle, signal) }
}
