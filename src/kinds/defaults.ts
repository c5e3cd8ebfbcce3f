const REGISTRY = 'git.the-ihor.com/adi/cocoon'

/** Ids and image tags of the kinds that Hive has when COCOON_KINDS is not set, in the order they are listed. */
const TAGS = {
  alpine: 'alpine',
  debian: 'debian',
  ubuntu: 'ubuntu',
  linux: 'ubuntu',
  python: 'python',
  node: 'node',
  full: 'full',
  gpu: 'gpu',
  cuda: 'gpu',
}

/** The default kinds as an operator would write them in a JSON array; they pass through the same checks. */
export const DEFAULT_KINDS: readonly unknown[] = Object.freeze(
  Object.entries(TAGS).map(([id, tag]) => ({
    id,
    runner_type: 'docker',
    runner_config: { image: `${REGISTRY}:${tag}` },
  })),
)
