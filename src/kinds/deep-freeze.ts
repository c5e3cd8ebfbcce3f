/**
 * Freezes a value and everything in it, and returns it. For trees of small depth, such as configs: JSON is read to 32
 * levels. What is frozen already is taken as frozen throughout; the contents of a Map are left alone.
 */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const member of Object.values(value)) deepFreeze(member)
  return Object.freeze(value)
}
