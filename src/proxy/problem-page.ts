import { createHash } from 'node:crypto'
import type { HiveError } from '../errors.ts'

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;margin:15vh auto;max-width:34rem;padding:0 1rem;color:#222;background:#fafafa}
h1{font-size:1.4rem;margin:0 0 .5rem}p{margin:0 0 1rem}small{color:#666}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}small{color:#999}}`

/** The page runs nothing and loads nothing; its one style is allowed by hash. */
export const PAGE_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

/** The page a browser gets instead of a problem document. It asks again by itself while the cocoon may still come. */
export function problemPage(error: HiveError): string {
  const waits = error.retryAfterS !== undefined
  const again = waits ? `<meta http-equiv="refresh" content="${Math.ceil(error.retryAfterS)}">` : ''
  const note = waits ? '<p>This page looks again by itself.</p>' : ''
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">${again}
<title>${error.status} ${escapeText(error.title)}</title><style>${STYLE}</style></head>
<body><h1>${escapeText(error.title)}</h1><p>${escapeText(error.message)}</p>${note}<small>${error.status} ${error.code}</small></body></html>
`
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (char) => ENTITIES[char] as string)
}
