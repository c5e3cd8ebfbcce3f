import assert from 'node:assert/strict'
import { Compile } from 'typebox/compile'

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
type Schema = Readonly<Record<string, Json>>

interface MediaType {
  readonly schema: Schema
  readonly example?: unknown
}

export interface ApiOperation {
  readonly operationId: string
  readonly parameters?: readonly { readonly name: string; readonly in: string }[]
  readonly security?: readonly unknown[]
  readonly requestBody?: { readonly content: Readonly<Record<string, MediaType>> }
  readonly responses: Readonly<
    Record<
      string,
      { readonly description: string; readonly headers?: object; readonly content: Readonly<Record<string, MediaType>> }
    >
  >
}

export interface ApiDocument {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, ApiOperation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

export interface Exchange {
  readonly method: string
  /** As in the document, such as `/services/{name}`. */
  readonly path: string
  readonly status: number
  readonly contentType: string
  readonly body: unknown
}

/** Every operation as `[method, path, operation]`. */
export function operationsOf(document: ApiDocument): readonly (readonly [string, string, ApiOperation])[] {
  return Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => [method.toUpperCase(), path, operation] as const),
  )
}

/** Holds an answer against what the document says of it; fields that the document does not name are faults, too. */
export function assertDescribed(document: ApiDocument, exchange: Exchange): void {
  const { method, path, status, contentType, body } = exchange
  const at = `${method} ${path} ${status}`
  const response = document.paths[path]?.[method.toLowerCase()]?.responses[status]
  assert.ok(response, `${at} is not in the document`)
  const media = response.content[contentType.split(';', 1)[0] ?? '']
  assert.ok(media, `${at}: ${contentType} is not in the document`)
  assertMatches(document, media.schema, { value: body, at })
}

/** Holds a value against a schema of the document. */
export function assertMatches(
  document: ApiDocument,
  schema: Schema,
  what: { readonly value: unknown; readonly at: string },
): void {
  const check = Compile(closed(resolve(document, schema)) as never)
  if (check.Check(what.value as never)) return
  const faults = check.Errors(what.value as never).map(({ instancePath, message }) => `${instancePath} ${message}`)
  assert.fail(`${what.at}: ${faults.join('; ')} in ${JSON.stringify(what.value).slice(0, 2_000)}`)
}

function resolve(document: ApiDocument, schema: Json): Json {
  return mapObjects(schema, (part) => {
    const ref = part['$ref']
    if (typeof ref !== 'string') return part
    const found = document.components.schemas[ref.replace('#/components/schemas/', '')]
    assert.ok(found, `${ref} is not in the document`)
    return resolve(document, found) as Schema
  })
}

/** Objects that name their fields and do not say that there may be more have no others. */
function closed(schema: Json): Json {
  return mapObjects(schema, (part) =>
    part['type'] === 'object' && part['properties'] !== undefined && part['additionalProperties'] === undefined
      ? { ...part, additionalProperties: false }
      : part,
  )
}

function mapObjects(value: Json, map: (part: Schema) => Schema): Json {
  if (Array.isArray(value)) return value.map((item: Json) => mapObjects(item, map))
  if (typeof value !== 'object' || value === null) return value
  const inner = Object.entries(value as Schema).map(([key, item]) => [key, mapObjects(item, map)])
  return map(Object.fromEntries(inner))
}
