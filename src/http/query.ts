/** What a query's text may be for each JSON type: as JSON itself writes it, nothing that only looks like it. */
const FORMS: Readonly<Record<string, { readonly form: RegExp; readonly read: (text: string) => unknown }>> = {
  integer: { form: /^-?(?:0|[1-9]\d{0,14})$/, read: Number },
  number: { form: /^-?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?$/, read: Number },
  boolean: { form: /^(?:true|false)$/, read: (text) => text === 'true' },
}

/**
 * Gives the texts of a query the types that its schema names. A text that does not spell such a value stays a text, so
 * that the schema refuses it: `limit=1.5`, `limit=0x10` and `limit=` are errors, not 1, 16 and 0.
 *
 * @param schema  A JSON schema of an object; only its own properties of one plain type are converted.
 * @param query   Names to a text, or to several of a name that stood more than once.
 */
export function readQuery(schema: unknown, query: unknown): unknown {
  const { properties } = schema as { readonly properties?: Readonly<Record<string, { readonly type?: string }>> }
  if (properties === undefined || typeof query !== 'object' || query === null) return query
  const read = Object.entries(query).map(([name, value]) => {
    const type = Object.hasOwn(properties, name) ? properties[name]?.type : undefined
    const known = FORMS[type ?? '']
    const fits = known !== undefined && typeof value === 'string' && known.form.test(value)
    return [name, fits ? known.read(value) : value] as const
  })
  return Object.fromEntries(read)
}
