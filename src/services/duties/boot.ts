import { readFileSync } from 'node:fs'

/** Drawn by the kernel at every boot (random(4)). */
const BOOT_ID = '/proc/sys/kernel/random/boot_id'

/** Which boot of the host this is; null = the system does not tell. */
export function readBootId(): string | null {
  try {
    return readFileSync(BOOT_ID, 'utf8').trim()
  } catch {
    return null
  }
}
