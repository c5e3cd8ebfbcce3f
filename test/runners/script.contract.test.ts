import { readFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ScriptConfig } from '../../src/kinds/kind.ts'
import type { RunnerHandle } from '../../src/runners/driver.ts'
import { freePort } from '../support/free-port.ts'
import { scriptSpec } from '../support/launch-spec.ts'
import { type ContractWorker, type RunnerHarness, runnerContract } from '../support/runner-contract.ts'
import { CONTAINMENTS, HTTPD, noCgroups, openScriptBench } from '../support/script-bench.ts'

const workers: Readonly<Record<ContractWorker, Pick<ScriptConfig, 'command' | 'args'>>> = {
  httpd: { command: process.execPath, args: [HTTPD] },
  'ignore-term': { command: process.execPath, args: [HTTPD, '--ignore-term'] },
  'exit-0': { command: 'true', args: [] },
  'exit-7': { command: 'sh', args: ['-c', 'exit 7'] },
  sleep: { command: 'sleep', args: ['1000'] },
  missing: { command: 'no-such-command-anywhere', args: [] },
}

async function scriptHarness(forceContainment: 'cgroup' | 'group'): Promise<RunnerHarness> {
  const bench = await openScriptBench({ forceContainment })
  return {
    features: { envPath: '/env', tellsWhoLaunched: true, patienceMs: 10_000 },
    driver: (instanceId) => bench.driver(instanceId === undefined ? {} : { instanceId }),
    spec: async (worker, overrides) => scriptSpec(workers[worker], { port: await freePort(), ...overrides }),
    visible: (handle) => visible(bench.stateDir, handle),
    cleanup: bench.cleanup,
  }
}

/** Every file of the state directory and the command lines of all processes. */
async function visible(stateDir: string, handle: RunnerHandle): Promise<string> {
  const entries = await readdir(stateDir, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const texts = await Promise.all(files.map((file) => readFile(file, 'latin1')))
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  return [...files, ...texts, ...pids.map(commandLine), commandLine(String(handle.data['pid']))].join('\n')
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
  } catch {
    return ''
  }
}

for (const containment of CONTAINMENTS) {
  const skip = containment === 'cgroup' && noCgroups()
  runnerContract(`the script runner (${containment})`, () => scriptHarness(containment), { skip })
}
