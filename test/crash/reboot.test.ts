import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { containersOf } from '../support/crash/engine-objects.ts'
import { killProcessesOf, workersOf } from '../support/crash/live-processes.ts'
import { type World, worldOf } from '../support/crash/world.ts'
import { until } from '../support/deadline.ts'

const BOOT_ID = '/proc/sys/kernel/random/boot_id'
const docker = process.env['HIVE_TEST_DOCKER_HOST']

function noMounts(): string | false {
  try {
    execFileSync('unshare', ['-m', 'mount', '--bind', '/dev/null', BOOT_ID], { stdio: 'ignore' })
    return false
  } catch {
    return 'no mount namespace can be made here'
  }
}

/** The command line that runs Hive in a mount namespace of its own, where the kernel seems to have booted anew. */
async function rebooted({ directory }: World): Promise<readonly string[]> {
  const file = join(directory, 'other-boot')
  await writeFile(file, `${randomUUID()}\n`)
  return ['unshare', '-m', 'sh', '-c', `mount --bind ${file} ${BOOT_ID} && exec "$@"`, 'sh']
}

describe('the host restarts', { skip: noMounts() }, () => {
  it('F17: what was wanted running comes back as the next attempt, the rest ends; nobody is mistaken for it', async (t) => {
    const engines = docker ? { docker } : {}
    const world = await worldOf(t, { engines })
    const first = await world.start()
    const before = world.client(first)
    const names = ['lives', ...(docker ? ['box'] : [])]
    await before.create('script', 'lives')
    if (docker) assert.equal((await before.create('docker', 'box'))?.status, 201)
    await before.create('script', 'rests')
    await before.change('stop', 'rests', '?wait=stopped')
    await first.end('SIGKILL')
    killProcessesOf(world.run)
    const stillUp = async () =>
      (docker ? await containersOf(docker, await world.instance()) : []).some(({ running }) => running)
    await until(async () => !(await stillUp()), 10_000, 'the end of everything')
    const second = await world.start({ wrapper: await rebooted(world), execs: true })
    const client = world.client(second)
    for (const name of names) {
      const isBack = async () => {
        const reply = await client.show(name)
        return reply?.body.state === 'running' && reply.body.attempt === 2
      }
      await until(isBack, 40_000, `the return of ${name}`)
    }
    assert.deepEqual((await client.show('rests'))?.body.state, 'stopped')
    await world.check(second)
    const id = (await client.show('lives'))?.body.id
    assert.equal(workersOf(world.run).filter(({ mark }) => mark?.startsWith(`${id}.`)).length, 1)
  })

  it('F17: a cocoon whose host did not restart is left as it is', {
    skip: docker ? false : 'no HIVE_TEST_DOCKER_HOST',
  }, async (t) => {
    const world = await worldOf(t, { engines: { docker: docker ?? '' } })
    const first = await world.start()
    assert.equal((await world.client(first).create('docker', 'elsewhere'))?.status, 201)
    await first.end('SIGKILL')
    const containers = await containersOf(docker ?? '', await world.instance())
    const second = await world.start({ wrapper: await rebooted(world), execs: true })
    await world.check(second)
    assert.deepEqual(await containersOf(docker ?? '', await world.instance()), containers)
    assert.equal((await world.client(second).show('elsewhere'))?.body.attempt, 1)
  })
})
