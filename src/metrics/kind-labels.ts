/** The label of a kind. */
export type KindLabels = (kind: string) => string

/** A service may be of a kind that is not configured any more, of which there is no end: they share one label. */
export function kindLabels(kinds: Iterable<string>): KindLabels {
  const known = new Set(kinds)
  return (kind) => (known.has(kind) ? kind : 'other')
}
