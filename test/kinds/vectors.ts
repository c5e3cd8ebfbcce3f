/** What COCOON_KINDS must give: kinds in short, or words that the complaint must hold. */
export interface Vector {
  readonly name: string
  /** null = the variable is not set. */
  readonly input: string | null
  readonly kinds?: readonly {
    readonly id: string
    readonly runner_type: string
    readonly runner_config: object
    readonly image: string
  }[]
  readonly error_mentions?: readonly string[]
}

const REGISTRY = 'git.the-ihor.com/adi/cocoon'

function box(id: string, image: string, runner_type = 'docker', more: object = {}) {
  return { id, runner_type, runner_config: { image, ...more }, image }
}

function native(id: string, command: string, more: object = {}) {
  return { id, runner_type: 'script', runner_config: { command, ...more }, image: '' }
}

const DEFAULTS = [
  ...['alpine', 'debian', 'ubuntu'].map((id) => box(id, `${REGISTRY}:${id}`)),
  box('linux', `${REGISTRY}:ubuntu`),
  ...['python', 'node', 'full', 'gpu'].map((id) => box(id, `${REGISTRY}:${id}`)),
  box('cuda', `${REGISTRY}:gpu`),
]
const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`

export const vectors: readonly Vector[] = [
  { name: 'K7 an unset variable', input: null, kinds: DEFAULTS },
  { name: 'K7 an empty variable', input: '', kinds: DEFAULTS },
  { name: 'K7 a variable of blanks', input: ' \t\r\n ', kinds: DEFAULTS },
  { name: 'K7 an empty array', input: '[]', kinds: [] },
  { name: 'K7 an empty array with blanks around and in it', input: '\n [ \t] \r\n', kinds: [] },
  { name: 'K7 an empty object', input: '{}', error_mentions: ['entry 1', 'JSON array'] },
  { name: 'K7 a JSON null', input: 'null', error_mentions: ['entry 1', 'colon'] },
  { name: 'K7 a JSON string', input: '"x"', error_mentions: ['entry 1', 'quote'] },
  { name: 'K7 a JSON number', input: '123', error_mentions: ['entry 1', 'colon'] },
  {
    name: 'K7 an array of other things',
    input: '[1,"x",null,[]]',
    error_mentions: ['entry 1', 'entry 2', 'entry 3', 'entry 4'],
  },
  {
    name: 'K7 a single object',
    input: '{"id":"a","image":"b"}',
    error_mentions: ['entry 1', 'without the brackets', '[{"id":…},{"id":…}]'],
  },
  {
    name: 'K7 objects without the brackets of their array',
    input: ' {"id":"a","image":"b"},\n{"id":"c","runner_type":"docker","runner_config":{"image":"d"}} ',
    error_mentions: ['entry 1', 'without the brackets'],
  },
  ...['"a:busybox"', "'a:busybox,b:i'", '\'[{"id":"a","image":"b"}]\'', '"id":"a","image":"b"', '\u201ca\u201d:b'].map(
    (input) => ({
      name: `K7 quotes around the text: ${input}`,
      input,
      error_mentions: ['entry 1: starts with a quote', 'without quotes'],
    }),
  ),
  ...['kinds.json', './kinds.json', '/etc/hive/kinds', '@kinds', '~/kinds.yml', 'file:///etc/kinds'].map((input) => ({
    name: `K7 a path instead of what is in the file: ${input}`,
    input,
    error_mentions: ['entry 1: looks like the path', 'COCOON_KINDS="$(cat kinds.json)"'],
  })),
  { name: 'K7 YAML', input: '- id: a\n  image: b\n', error_mentions: ['entry 1: looks like YAML', 'JSON array'] },
  ...['a:busybox\nb:i', 'a:docker:busybox\n  b:i', 'a:script:w\r\nb:script:{"command":"w"}'].map((input) => ({
    name: `K4 a line break without a comma: ${JSON.stringify(input)}`,
    input,
    error_mentions: ['entry 1 (a): goes on over a line break', 'a comma at the end of each entry'],
  })),
  {
    name: 'K4 a line break without a comma behind JSON',
    input: 'a:script:{"command":"w"}\nb:i',
    error_mentions: ['entry 1 (a), runner_config', 'line 2, column 1', 'a comma before the next entry'],
  },
  {
    name: 'K1 colons in a legacy image',
    input: 'ubuntu:reg.example:5000/ns/img:tag,u2:git.host/x:ubuntu',
    kinds: [box('ubuntu', 'reg.example:5000/ns/img:tag'), box('u2', 'git.host/x:ubuntu')],
  },
  { name: 'K1 a legacy image with tag and digest', input: `a:app:1@${DIGEST}`, kinds: [box('a', `app:1@${DIGEST}`)] },
  {
    name: 'K2 typed entries keep the rest whole',
    input: `ubuntu:docker:img:tag,a:script:cmd,b:podman:img@${DIGEST}`,
    kinds: [box('ubuntu', 'img:tag'), native('a', 'cmd'), box('b', `img@${DIGEST}`, 'podman')],
  },
  {
    name: 'K2 a typed image with a registry port',
    input: 'a:podman:localhost:5000/x:1',
    kinds: [box('a', 'localhost:5000/x:1', 'podman')],
  },
  { name: 'K3 a runner without a config', input: 'x:script', error_mentions: ['x', 'script:/usr/local/bin/worker'] },
  { name: 'K3 a runner with an empty config', input: 'x:docker: ', error_mentions: ['x', 'docker:ubuntu'] },
  {
    name: 'K3 a kind named like a runner, without a config',
    input: 'docker:docker',
    error_mentions: ['docker:docker:ubuntu'],
  },
  { name: 'K3 everything named script', input: 'script:script:script', kinds: [native('script', 'script')] },
  { name: 'K3 everything named docker', input: 'docker:docker:docker', kinds: [box('docker', 'docker')] },
  { name: 'K3 an image named like a runner, typed', input: 'x:docker:script', kinds: [box('x', 'script')] },
  { name: 'K3 a legacy image that only starts like a runner', input: 'x:dockers:1', kinds: [box('x', 'dockers:1')] },
  {
    name: 'K4 blanks, CRLF, tabs, doubled and closing commas',
    input: '\r\n\ta:busybox , ,,\r\n  b:script:w\t,\r\n,',
    kinds: [box('a', 'busybox'), native('b', 'w')],
  },
  { name: 'K4 blanks around a JSON config', input: 'a:script: {"command":"w"} ', kinds: [native('a', 'w')] },
  {
    name: 'K5 commas, colons, braces and quotes in JSON strings',
    input: 'a:script:{"command":"w","args":["x,y:{z]}","\\"},b:\\\\","[{"]},b:busybox',
    kinds: [native('a', 'w', { args: ['x,y:{z]}', '"},b:\\', '[{'] }), box('b', 'busybox')],
  },
  {
    name: 'K5 braces in braces',
    input: 'a:docker:{"image":"i","environment":{"A":"1,2"},"resources":{"pids":5}},b:i',
    kinds: [box('a', 'i', 'docker', { environment: { A: '1,2' }, resources: { pids: 5 } }), box('b', 'i')],
  },
  {
    name: 'K6 an open brace',
    input: 'a:busybox,b:script:{"command":"w"',
    error_mentions: ['entry 2', 'never closed', 'column 20'],
  },
  {
    name: 'K6 an open brace around closed ones',
    input: 'a:docker:{"image":"i","resources":{"pids":1}',
    error_mentions: ['entry 1', 'never closed', 'column 10'],
  },
  {
    name: 'K6 a stray brace',
    input: 'a:script:{"command":"w"}}',
    error_mentions: ['entry 1', 'closes nothing', 'column 25'],
  },
  {
    name: 'K6 single quotes',
    input: "a:script:{'command':'w'}",
    error_mentions: ['entry 1', 'single quotes', 'column 11'],
  },
  {
    name: 'K6 a comma before a closing brace',
    input: 'a:script:{"command":"w",}',
    error_mentions: ['entry 1', 'trailing comma', 'column 25'],
  },
  {
    name: 'K6 a comment',
    input: 'a:script:{/* x */"command":"w"}',
    error_mentions: ['entry 1', 'comments', 'column 11'],
  },
  { name: 'K6 NaN', input: 'a:docker:{"image":"i","port":NaN}', error_mentions: ['entry 1', 'a value', 'column 30'] },
  {
    name: 'K6 an open string',
    input: 'a:script:{"command":"w}',
    error_mentions: ['entry 1', 'string is never closed', 'column 21'],
  },
  {
    name: 'K6 text behind the config',
    input: 'a:script:{"command":"w"} w',
    error_mentions: ['entry 1', 'follows the end', 'column 26'],
  },
  {
    name: 'K6 a key twice',
    input: 'a:docker:{"image":"i","image":"j"}',
    error_mentions: ['entry 1', 'twice', 'column 23'],
  },
  {
    name: 'K6 a fault in the third element of an array',
    input: '[{"id":"a","image":"i"},\n{"id":"b","image":"i"},\n  {"id" "c"}]',
    error_mentions: ['entry 3', 'line 3, column 9'],
  },
  {
    name: 'K6 an array that does not end',
    input: '[{"id":"a","image":"i"}',
    error_mentions: ['entry 1', 'ends too early'],
  },
  { name: 'K8 equal ids', input: 'a:i,b:i,a:j', error_mentions: ['entry 3 (a)', 'entry 1 has the same id'] },
  { name: 'K8 ids that differ in case', input: 'Box:i,bOX:j', error_mentions: ['entry 2 (bOX)', 'entry 1'] },
  {
    name: 'K8 equal ids in an array',
    input: '[{"id":"a","image":"i"},{"id":"A","image":"i"}]',
    error_mentions: ['entry 2 (A)'],
  },
  ...['__proto__', 'a/b', '..', '.a', '-a', '', 'a b', 'ä', 'x'.repeat(1024)].map((id) => ({
    name: `K8 the id ${JSON.stringify(id.slice(0, 20))}`,
    input: `ok:i,${id}:i`,
    error_mentions: ['entry 2', 'kind id', 'letters, digits'],
  })),
  ...['__proto__', '../x', '', 7, null].map((id) => ({
    name: `K8 the id ${JSON.stringify(id)} in an array`,
    input: JSON.stringify([{ id, image: 'i' }]),
    error_mentions: ['entry 1', 'kind id'],
  })),
  { name: 'K8 the longest id', input: `${'x'.repeat(63)}:i`, kinds: [box('x'.repeat(63), 'i')] },
  ...['Docker', 'docker ', ' script', 'exec', '__proto__', 'constructor', ''].map((runner_type) => ({
    name: `K9 the runner type ${JSON.stringify(runner_type)} in an array`,
    input: JSON.stringify([{ id: 'a', runner_type, runner_config: { image: 'i' } }]),
    error_mentions: ['entry 1 (a)', 'runner_type', '"docker", "podman", "script"'],
  })),
  {
    name: 'K9 no runner type beside a config',
    input: '[{"id":"a","runner_config":{"image":"i"}}]',
    error_mentions: ['runner_type', 'is missing', 'script'],
  },
  {
    name: 'K9 a runner type of another JSON type',
    input: '[{"id":"a","runner_type":1,"runner_config":{}}]',
    error_mentions: ['runner_type', 'is a number'],
  },
  { name: 'K9 an upper-case runner in a list', input: 'a:Docker:img', error_mentions: ['runner_type', '"docker"'] },
  { name: 'K9 a blank behind a runner in a list', input: 'a:docker :img', error_mentions: ['runner_type', '"docker"'] },
  {
    name: 'an image beside a config that says the same',
    input: '[{"id":"a","runner_type":"docker","runner_config":{"image":"i"},"image":"i"}]',
    kinds: [box('a', 'i')],
  },
  {
    name: 'an image beside a config that has none',
    input: '[{"id":"a","runner_type":"podman","runner_config":{"pull":"never"},"image":"i"}]',
    kinds: [box('a', 'i', 'podman', { pull: 'never' })].map((kind) => ({
      ...kind,
      runner_config: { pull: 'never', image: 'i' },
    })),
  },
  {
    name: 'an image beside a config that says another',
    input: '[{"id":"a","runner_type":"docker","runner_config":{"image":"i"},"image":"j"}]',
    error_mentions: ['differs'],
  },
  {
    name: 'the empty image of a script kind, as the API answers it',
    input: '[{"id":"a","runner_type":"script","runner_config":{"command":"w"},"image":""}]',
    kinds: [native('a', 'w')],
  },
  {
    name: 'an image in a script kind',
    input: '[{"id":"a","runner_type":"script","runner_config":{"command":"w"},"image":"i"}]',
    error_mentions: ['image', 'script kind'],
  },
  {
    name: 'an unknown field beside runner_config',
    input: '[{"id":"a","image":"i","ports":["80"]}]',
    error_mentions: ['"ports"', 'runner_config'],
  },
  {
    name: 'a config that is a string in an array',
    input: '[{"id":"a","runner_type":"docker","runner_config":"i"}]',
    error_mentions: ['runner_config', 'is a string', '{"image":"ubuntu"}'],
  },
  { name: 'no id in an array', input: '[{"image":"i"}]', error_mentions: ['entry 1', 'id', 'missing'] },
  { name: 'an image that is missing', input: 'a:docker:{}', error_mentions: ['image', 'missing'] },
  { name: 'a command that is missing', input: 'a:script:{"args":[]}', error_mentions: ['command', 'missing'] },
  {
    name: 'many problems at once',
    input: 'a:script:{"command":1,"argz":[]},b:IMG,c:docker:{"image":"i","ports":["x","22:22"]}',
    error_mentions: ['entry 1 (a), command', '"argz"', 'entry 2 (b), image', 'entry 3 (c), ports[0]', 'ports[1]'],
  },
]
