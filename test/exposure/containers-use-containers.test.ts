import { describePair } from '../support/exposure-pair.ts'

describePair('docker', 'podman')
describePair('podman', 'docker')
describePair('docker', 'docker')
describePair('podman', 'podman')
describePair('podman-rootless', 'docker')
