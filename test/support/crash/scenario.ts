import type { RecordingClient } from './client.ts'

/**
 * The life of a few cocoons, one call after the other, until Hive is gone.
 * @returns true if every call was answered.
 */
export async function churnOnce(client: RecordingClient, kind: string): Promise<boolean> {
  const steps = [
    () => client.create(kind, 'a'),
    () => client.create(kind, 'b', ''),
    () => client.change('restart', 'a'),
    () => client.show('b', '?wait=ready&timeout_s=30'),
    () => client.remove('a'),
    () => client.change('stop', 'b', '?wait=stopped&timeout_s=30'),
    () => client.change('start', 'b'),
    () => client.create(kind, 'a'),
    () => client.remove('b'),
  ]
  for (const step of steps) if ((await step()) === null) return false
  return true
}
