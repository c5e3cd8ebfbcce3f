import { describePair } from '../support/exposure-pair.ts'

describePair('script', 'docker')
describePair('script', 'podman')
describePair('script', 'podman-rootless')
