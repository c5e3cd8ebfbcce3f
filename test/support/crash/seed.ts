/** HIVE_TEST_SEED, or another one each time; printed with every test that draws from it. */
export const SEED = Number(process.env['HIVE_TEST_SEED'] ?? Date.now() % 1_000_000)

/** True under `npm run test:crash`: every point, not a sample. */
export const ALL = process.env['HIVE_TEST_CRASH'] === 'all'

/** A stream of numbers in [0, 1) that depends on the seed alone (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** So many different whole numbers from 1 to `last`, ascending. */
export function sample(random: () => number, count: number, last: number): number[] {
  const drawn = new Set<number>()
  while (drawn.size < Math.min(count, last)) drawn.add(1 + Math.floor(random() * last))
  return [...drawn].sort((a, b) => a - b)
}

/**
 * Of tests that are many and alike, so many are drawn for a default run; `npm run test:crash` runs all.
 * @returns for `skip`: false for a test that is drawn. It is asked by the number of the test, from 0.
 */
export function notDrawn(count: number, of: number): (index: number) => string | false {
  const drawn = new Set(sample(randomFrom(SEED), count, of))
  return (index) => (ALL || drawn.has(index + 1) ? false : 'not drawn: npm run test:crash')
}
