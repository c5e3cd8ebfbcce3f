import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boxConfig, boxText, complaintsOf, strict } from '../support/kind-texts.ts'

function allowing(what: string, ...ids: string[]) {
  return { ...strict, allow: new Map([[what, new Set(ids)]]) }
}

test('capabilities: all are dropped, then the default ones and the added ones come back', () => {
  const { security } = boxConfig({
    security: { cap_add: ['net_raw', 'CAP_SYS_CHROOT', 'CHOWN'], cap_drop: ['SETUID'] },
  })
  const { capAdd, capDrop } = security
  assert.deepEqual(capAdd, [
    'CHOWN',
    'DAC_OVERRIDE',
    'FOWNER',
    'SETGID',
    'KILL',
    'NET_BIND_SERVICE',
    'NET_RAW',
    'SYS_CHROOT',
  ])
  assert.deepEqual(capDrop, ['ALL', 'SETUID'])
})

test('capabilities: dropping ALL leaves only the added ones', () => {
  const { security } = boxConfig({ security: { cap_add: ['KILL'], cap_drop: ['ALL'] } })
  assert.deepEqual(security.capAdd, ['KILL'])
  assert.ok(
    security.capDrop.includes('ALL') && security.capDrop.includes('CHOWN') && !security.capDrop.includes('KILL'),
  )
})

const dangerous: Readonly<Record<string, object>> = {
  cap_sys_admin: { cap_add: ['SYS_ADMIN'] },
  cap_all: { cap_add: ['ALL'] },
  seccomp_unconfined: { seccomp: 'unconfined' },
  apparmor_unconfined: { apparmor: 'unconfined' },
  selinux_disable: { selinux: 'disable' },
  userns_host: { userns: 'host' },
}

for (const [what, security] of Object.entries(dangerous)) {
  test(`K11 ${JSON.stringify(security)} is refused unless HIVE_ALLOW_${what.toUpperCase()} names this kind`, () => {
    const setting = `HIVE_ALLOW_${what.toUpperCase()}`
    for (const policy of [strict, allowing(what, 'other'), allowing('cap_net_admin', 'box')])
      assert.ok(complaintsOf(boxText({ security }), policy).includes(`${setting}=box`))
    assert.ok(boxConfig({ security }, allowing(what, 'box')))
  })
}

test('security: fields of a wrong form are refused', () => {
  const security = {
    cap_add: ['NO_SUCH'],
    cap_drop: 'ALL',
    read_only: 1,
    seccomp: 'x.json',
    apparmor: '',
    selinux: 'x',
    userns: 'x',
    allow_sudo: 'yes',
    privileged: true,
  }
  const complaint = complaintsOf(boxText({ security }))
  for (const field of ['cap_add[0]', 'cap_drop', 'read_only', 'seccomp', 'apparmor', 'selinux', 'userns', 'allow_sudo'])
    assert.ok(complaint.includes(`security.${field}: `), field)
  assert.match(complaint, /security: "privileged" is not a known field/)
})

test('security: profiles, labels and flags are kept', () => {
  const security = {
    read_only: true,
    seccomp: '/etc/s.json',
    apparmor: 'my-profile',
    selinux: 'type:container_t',
    allow_sudo: true,
  }
  const { capAdd: _, capDrop: __, ...kept } = boxConfig({ security }).security
  assert.deepEqual(kept, {
    readOnly: true,
    seccomp: '/etc/s.json',
    apparmor: 'my-profile',
    selinux: 'type:container_t',
    userns: null,
    allowSudo: true,
  })
})

test('security: user namespaces other than the host’s are podman’s alone', () => {
  assert.equal(boxConfig({ security: { userns: 'keep-id' } }, strict, 'podman').security.userns, 'keep-id')
  assert.match(complaintsOf(boxText({ security: { userns: 'keep-id' } })), /known to podman only/)
})
