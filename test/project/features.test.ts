import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

const TESTS = join(import.meta.dirname, '..')
const RUNNERS = ['script', 'docker', 'podman'] as const

interface Cell {
  readonly feature: string
  readonly runner: (typeof RUNNERS)[number]
  readonly text: string
  /** Of the test it names; `same` and `any` name the one before. Null = it names none. */
  readonly named: { readonly file: string; readonly title: string } | null
}

const table = await readFile(join(TESTS, 'features.md'), 'utf8')
const cells = cellsOf(table.slice(0, table.indexOf('## What differs')))

/** The cells of every row, a row being a feature and one cell for each runner. */
function cellsOf(text: string): readonly Cell[] {
  const rows = text.split('\n').filter((line) => line.startsWith('| '))
  return rows.slice(1).flatMap((row) => {
    const [feature = '', ...texts] = row.slice(2, -2).split(' | ')
    assert.equal(texts.length, RUNNERS.length, row)
    let named: Cell['named'] = null
    return RUNNERS.map((runner, index) => {
      const cell = texts[index]?.trim() ?? ''
      const [, file, title] = /`(\S+) › (.+)`$/.exec(cell) ?? []
      if (file !== undefined && title !== undefined) named = { file: `${file}.test.ts`, title }
      return { feature, runner, text: cell, named: cell.startsWith('–') ? null : named }
    })
  })
}

/** A file with the support files that it imports, which hold the titles and runners that several files share. */
async function withSupport(path: string): Promise<string> {
  const source = await readFile(path, 'utf8')
  const imports = [...source.matchAll(/from '(\.[^']*\/support\/[^']+)'/g)].map(([, file = '']) => file)
  const parts = await Promise.all(imports.map((file) => readFile(join(dirname(path), file), 'utf8')))
  return [source, ...parts].join('\n')
}

test('features.md names for each feature and runner a test that there is', async () => {
  assert.ok(cells.length > 100, `${cells.length} cells`)
  for (const { feature, runner, text, named } of cells) {
    const where = `${feature} on ${runner}: ${text}`
    if (named === null) {
      assert.match(text, /^– \(.+\)$/, where)
      continue
    }
    assert.match(text, /^(same|any|(\(.+\) )?`\S+ › .+`)$/, where)
    const source = await readFile(join(TESTS, named.file), 'utf8').catch(() => assert.fail(`no such file: ${where}`))
    assert.ok(source.includes(named.title), `no such title in ${named.file}: ${where}`)
  }
})

test('a test that features.md names for a container runner is about that runner', async () => {
  const claims = cells.filter(({ runner, text, named }) => named && runner !== 'script' && !/^(any|\()/.test(text))
  assert.ok(claims.length > 30)
  for (const { feature, runner, named } of claims) {
    const source = await withSupport(join(TESTS, named?.file ?? ''))
    assert.ok(source.toLowerCase().includes(runner), `${named?.file} never names ${runner}: ${feature}`)
  }
})
