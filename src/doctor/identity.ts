import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { IDENTITY, INSTANCE_ID } from '../services/table/open-state.ts'
import { salvage } from '../services/table/salvage.ts'
import { RebuildRefused } from './refused.ts'

/**
 * What a lost `instance_id` has to be made of again, read from the damaged table; null if the file is there.
 * @throws RebuildRefused  neither knows it: under a new one, no cocoon would be found.
 */
export async function ownInstanceId(directory: string): Promise<string | null> {
  const file = join(directory, INSTANCE_ID)
  if ((await readFile(file, 'utf8').catch(() => '')).trim() !== '') return null
  const { documents } = salvage(directory)
  const kept = documents.find(({ collection, key }) => collection === IDENTITY && key === INSTANCE_ID)
  if (kept === undefined)
    throw new RebuildRefused(
      `${file} is lost, and the table does not tell it: write into it the 16 hex digits that stand as "instance" in <state>/run/<id>/<attempt>/marker.json and in the names of containers`,
    )
  return JSON.parse(kept.body) as string
}
