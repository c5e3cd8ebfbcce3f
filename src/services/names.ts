import { randomBytes } from 'node:crypto'

/** Longest name that still fits `<name>.<domain>` and `hive-<instance>-<name>` as one DNS label each. */
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,54}[a-z0-9])?$/
const SOURCE = 'cocoons:'

/** True for a DNS label of 1–56 characters without `--` (that separates a port from a name in host mode). */
export function isServiceName(text: string): boolean {
  return NAME.test(text) && !text.includes('--')
}

/** Wherever a name is taken, `cocoons:<name>` is too. */
export function plainName(text: string): string {
  return text.startsWith(SOURCE) ? text.slice(SOURCE.length) : text
}

export function fqnOf(name: string): string {
  return SOURCE + name
}

export function newServiceName(): string {
  return `cocoon-${randomBytes(4).toString('hex')}`
}
