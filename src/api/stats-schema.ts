import { Type } from 'typebox'
import type { StatsSample } from '../stats/sample.ts'

/** Shapes of what a cocoon uses. */

const count = (description: string) => Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], { description })
const number = (description: string) => Type.Union([Type.Number({ minimum: 0 }), Type.Null()], { description })

export const StatsSampleSchema = Type.Unsafe<StatsSample>(
  Type.Object(
    {
      at: Type.String({ format: 'date-time' }),
      attempt: Type.Integer({ minimum: 1 }),
      cpu_seconds: number('CPU time since the launch of this attempt.'),
      cpu_percent: number('Of one processor, since the sample before; null in the first one of an attempt.'),
      memory_bytes: count('The page cache left out.'),
      memory_limit_bytes: count('null = there is none, unless unknown says otherwise.'),
      processes: count('With the init that a container engine adds.'),
      threads: count('What a limit of pids counts.'),
      open_files: count('Open file descriptors of all its processes.'),
      network_rx_bytes: count('Received through its own interfaces, loopback left out.'),
      network_tx_bytes: count('Sent through its own interfaces, loopback left out.'),
      unknown: Type.Record(Type.String(), Type.String(), {
        description:
          'Why a value is null because it cannot be told: cpu, memory, memory_limit, processes, threads, open_files, network.',
      }),
    },
    { description: 'The same for all runners; null = not known.' },
  ),
)

export const StatsAnswer = Type.Object({
  current: Type.Union([StatsSampleSchema, Type.Null()], {
    description: 'The newest sample; null = it does not run, or has not been measured yet.',
  }),
  history: Type.Array(StatsSampleSchema, {
    description: 'The last ten minutes of running, oldest first; forgotten when Hive restarts.',
  }),
  interval_ms: Type.Integer({ minimum: 1, description: 'From one sample to the next.' }),
})
