import { join, relative } from 'node:path'
import type { DemoCocoon } from './commands.ts'
import type { DemoHive } from './hive.ts'

/** What to look at and what to type, each line ready to be copied. */
export function welcome(
  hive: DemoHive,
  cocoon: DemoCocoon,
  { root, isOnce }: { readonly root: string; readonly isOnce: boolean },
): string {
  const { port, stateDirectory, log } = hive
  const base = `http://127.0.0.1:${port}`
  const settings = settingsFor(stateDirectory, port === 8020 ? null : base)
  const bin = join(relative(process.env['INIT_CWD'] ?? process.cwd(), root) || '.', 'bin', 'hive.js')
  const command = `${settings} ${word(bin.startsWith('/') || bin.startsWith('.') ? bin : `./${bin}`)}`
  const token = word(join(stateDirectory, 'token'))
  return `
A cocoon is ready:  ${cocoon.origin_url ?? cocoon.url}
without a browser:  curl ${cocoon.url}

list:   ${command} list
kill:   ${command} kill ${cocoon.name}
spawn:  ${command} spawn demo
API:    curl -H "Authorization: Bearer $(cat ${token})" ${base}/services

token:  ${join(stateDirectory, 'token')}
log:    ${log}
${isOnce ? '' : '\nCtrl-C ends the demo: it kills its cocoons and stops Hive.\n'}`
}

/** Whatever of another Hive is set in the shell where the commands will be typed must not lead them astray. */
function settingsFor(stateDirectory: string, url: string | null): string {
  const { HIVE_URL, HIVE_PORT, HIVE_TOKEN } = process.env
  const target = url ?? (HIVE_URL || HIVE_PORT ? 'http://127.0.0.1:8020' : null)
  return [
    `HIVE_STATE_DIR=${word(stateDirectory)}`,
    ...(target === null ? [] : [`HIVE_URL=${target}`]),
    ...(HIVE_TOKEN ? ['HIVE_TOKEN='] : []),
  ].join(' ')
}

export function farewell(names: readonly string[]): string {
  const killed = names.length === 0 ? 'No cocoon was left' : `Killed ${names.join(', ')}`
  return `\n${killed}, and stopped Hive. (With \`npm start\` cocoons outlive Hive.)\n`
}

/** A word for a POSIX shell. */
function word(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
