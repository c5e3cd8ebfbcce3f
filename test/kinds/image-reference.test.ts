import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseImageReference } from '../../src/kinds/image-reference.ts'
import { boxText, problemsOf } from '../support/kind-texts.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`

const right: Readonly<
  Record<string, readonly [domain: string | null, path: string, tag: string | null, digest: string | null]>
> = {
  ubuntu: [null, 'ubuntu', null, null],
  'busybox:1': [null, 'busybox', '1', null],
  'team/app:1.2': [null, 'team/app', '1.2', null],
  'localhost/app': ['localhost', 'app', null, null],
  'localhost:5000/a/b:tag': ['localhost:5000', 'a/b', 'tag', null],
  'git.host/x:ubuntu': ['git.host', 'x', 'ubuntu', null],
  'REG.example/x': ['REG.example', 'x', null, null],
  'Registry/x': ['Registry', 'x', null, null],
  '127.0.0.1:5000/x_y__z--w.v:T_-.1': ['127.0.0.1:5000', 'x_y__z--w.v', 'T_-.1', null],
  '[::1]:5000/x': ['[::1]:5000', 'x', null, null],
  [`app@${DIGEST}`]: [null, 'app', null, DIGEST],
  [`reg.example:5000/ns/app:1@${DIGEST}`]: ['reg.example:5000', 'ns/app', '1', DIGEST],
}

for (const [text, [domain, path, tag, digest]] of Object.entries(right)) {
  test(`parseImageReference: ${text} is read part by part`, () => {
    assert.deepEqual(parseImageReference(text), { domain, path, tag, digest })
  })
}

const wrong = [
  ...[
    '-v',
    '--privileged',
    '$(id)',
    '`id`',
    'IMG UPPER',
    'a b',
    '',
    'x'.repeat(1024),
    'ünï',
    'img\n',
    'UPPER',
    'team/App',
  ],
  ...[
    'a//b',
    '/a',
    'a/',
    'a:',
    ':a',
    'a:b:c',
    'a:-x',
    `a:${'t'.repeat(129)}`,
    'a@',
    'a@sha256:xyz',
    `a@${DIGEST}@${DIGEST}`,
  ],
  ...[
    'a..b',
    'a___b',
    '.a',
    'a.',
    '-reg.example/x',
    'reg.example:99999/x',
    'reg.example:/x',
    'http://reg.example/x',
    'a;b',
    '{kind}',
  ],
]

for (const text of wrong) {
  test(`K19 the image ${JSON.stringify(text.slice(0, 40))} is refused`, () => {
    assert.equal(typeof parseImageReference(text), 'string')
    const [problem] = problemsOf(boxText({ image: text }))
    assert.equal(problem?.field, 'image')
  })
}

test('K19 parseImageReference: a complaint never repeats a text of any length', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 12, unit: 'binary' }), (text) => {
      const answer = parseImageReference(text)
      return typeof answer !== 'string' || !answer.includes(text)
    }),
  )
})
