/** Name and tag of an image reference, as a pull takes them. Without a tag the engine would pull every tag there is. */
export function splitReference(reference: string): { readonly name: string; readonly tag: string } {
  const [beforeDigest = '', digest] = reference.split('@')
  const colon = beforeDigest.indexOf(':', beforeDigest.lastIndexOf('/') + 1)
  const name = colon === -1 ? beforeDigest : beforeDigest.slice(0, colon)
  return { name, tag: digest ?? (colon === -1 ? 'latest' : beforeDigest.slice(colon + 1)) }
}
