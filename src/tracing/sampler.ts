import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace'
import type { TracingSettings } from '../settings.ts'

/** What decides which traces are kept. */
export function createSampler({ name, ratio, byParent }: TracingSettings['sampler']): Sampler {
  const root = rootSampler(name, ratio)
  return byParent ? new ParentBasedSampler({ root }) : root
}

function rootSampler(name: TracingSettings['sampler']['name'], ratio: number): Sampler {
  if (name === 'always_on') return new AlwaysOnSampler()
  return name === 'always_off' ? new AlwaysOffSampler() : new TraceIdRatioBasedSampler(ratio)
}
