import assert from 'node:assert/strict'
import { mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { makePath } from '../src/make-path.ts'

let root: string
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'make-path-'))
})
after(() => rm(root, { recursive: true, force: true }))

test('makes what is missing, with its mode, and takes what is there', async () => {
  const path = join(root, 'a', 'b', 'c')
  await makePath(path, 0o700)
  await makePath(path, 0o755)
  assert.equal((await stat(path)).mode & 0o777, 0o700)
  await symlink(path, join(root, 'link'))
  await makePath(join(root, 'link', 'd'))
  assert.ok((await stat(join(path, 'd'))).isDirectory())
})

test('a file or a link to nothing in the way is an error', async () => {
  await writeFile(join(root, 'file'), '')
  await symlink(join(root, 'nowhere'), join(root, 'dangling'))
  await assert.rejects(makePath(join(root, 'file')), { code: 'EEXIST' })
  await assert.rejects(makePath(join(root, 'file', 'x')), { code: 'ENOTDIR' })
  await assert.rejects(makePath(join(root, 'dangling')), { code: 'EEXIST' })
  await assert.rejects(makePath(join(root, 'dangling', 'x')), { code: 'EEXIST' })
})

test('a file system that answers ENOENT to every mkdir ends it with an error', {
  skip: process.platform === 'linux' ? false : 'there is no /proc',
}, async () => {
  await assert.rejects(makePath('/proc/hive-test/a/b'), { code: 'ENOENT' })
})
