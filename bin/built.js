import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What a build is made of: other contents here make another build. */
const SOURCES = ['src', 'plugins', 'routes']
const RECIPE = ['package-lock.json', 'scripts/build.js']

/** Where `scripts/build.js` leaves the digest of what it built from. */
export const BUILT_FROM = 'dist/built-from.sha256'

/**
 * Which program to run. A clone has sources and, after `npm ci`, a build of them that starts in half the time and memory;
 * a build of other contents is never run. The published package has the build alone.
 *
 * @param {string} root  The package's directory.
 * @returns {{ file: string, fromSource: boolean }}
 */
export function chooseProgram(root) {
  const source = join(root, 'src/cli/main.ts')
  const isBuilt = !existsSync(source) || isBuiltFromThese(root)
  return { file: isBuilt ? join(root, 'dist/main.js') : source, fromSource: !isBuilt }
}

/**
 * The SHA-256 over names and contents of everything a build is made of. Contents, not times: those lie after a copy,
 * an unpacked archive, a synchronised folder.
 *
 * @param {string} root
 * @returns {string} hexadecimal.
 */
export function digestOf(root) {
  const hash = createHash('sha256')
  for (const name of [...SOURCES.flatMap((directory) => filesUnder(root, directory)), ...RECIPE]) {
    const content = readFileSync(join(root, name))
    hash.update(`${name}\0${content.length}\0`).update(content)
  }
  return hash.digest('hex')
}

/** Without a digest there is no build, or only half of one. */
function isBuiltFromThese(root) {
  const digest = join(root, BUILT_FROM)
  return existsSync(digest) && readFileSync(digest, 'utf8') === digestOf(root)
}

function filesUnder(root, directory) {
  const names = readdirSync(join(root, directory), { recursive: true })
  return names
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(directory, name))
    .sort()
}
