import { describePair } from '../support/exposure-pair.ts'

describePair('script', 'script')
describePair('docker', 'script')
describePair('podman', 'script')
describePair('podman-rootless', 'script')
