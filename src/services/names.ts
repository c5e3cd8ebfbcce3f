import { randomBytes } from 'node:crypto'

/** Longest name that still fits `<name>.<domain>` and `hive-<instance>-<name>` as one DNS label each. */
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,54}[a-z0-9])?$/
/** The rule as a sentence, for whoever broke it. */
export const NAME_RULE = 'must be 1-56 of a-z, 0-9 and -, begin and end with a letter or digit, without --'
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
