/** The words of the two generations of the protocol. One message per text frame, a JSON object with a string `type`. */

export type Generation = 1 | 2

export interface Dialect {
  readonly generation: Generation
  readonly register: string
  readonly registered: string
  readonly spawn: string
  readonly spawnResult: string
  readonly terminate: string
  readonly terminateResult: string
  /** What the server sends when it does not like something; `message` or `reason` says what. */
  readonly complaints: readonly string[]
}

export const DIALECTS: Readonly<Record<Generation, Dialect>> = {
  1: {
    generation: 1,
    register: 'register_hive',
    registered: 'hive_registered',
    spawn: 'spawn_cocoon',
    spawnResult: 'spawn_cocoon_result',
    terminate: 'terminate_cocoon',
    terminateResult: 'terminate_cocoon_result',
    complaints: ['error', 'access_denied'],
  },
  2: {
    generation: 2,
    register: 'hive_register',
    registered: 'hive_register_response',
    spawn: 'hive_spawn_cocoon',
    spawnResult: 'hive_spawn_cocoon_result',
    terminate: 'hive_terminate_cocoon',
    terminateResult: 'hive_terminate_cocoon_result',
    complaints: ['system_error'],
  },
}

/** Types that only servers of one generation send to whoever speaks the other one. */
const TELLTALES: Readonly<Record<Generation, readonly string[]>> = {
  1: ['hello', 'error', 'access_denied', 'hive_registered'],
  2: ['auth_hello', 'system_error', 'hive_register_response'],
}

export function otherGeneration(generation: Generation): Generation {
  return generation === 1 ? 2 : 1
}

/** True if a message of this type shows that the server is of the other generation. */
export function isOfOtherGeneration({ generation }: Dialect, type: string): boolean {
  return TELLTALES[otherGeneration(generation)].includes(type)
}
