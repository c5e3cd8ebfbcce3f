// The page of the example worker. Every address in it is relative.

/** The page as HTML text. */
export function page({ name, kind }) {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>${escapeHtml(name)}</title>
<style>
  :root { --ink: #24211c; --paper: #fbf7ee; --line: #e2d9c5; --honey: #c77f0a }
  @media (prefers-color-scheme: dark) { :root { --ink: #efe8da; --paper: #1d1a16; --line: #3a342b; --honey: #f0b03f } }
  body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
  main { max-width: 42rem; margin: 10vh auto; padding: 0 1.5rem }
  h1 { margin: 0; font-size: 2rem; overflow-wrap: anywhere }
  p.kind { margin: .2rem 0 2rem; color: var(--honey); font-weight: 600 }
  section { border-top: 1px solid var(--line); padding: 1rem 0 }
  h2 { margin: 0 0 .4rem; font-size: 1rem }
  a { color: inherit; text-decoration-color: var(--honey); margin-right: 1rem }
  output { display: block; font: .875rem/1.5 ui-monospace, monospace; min-height: 1.5em; overflow-wrap: anywhere }
  input { font: inherit; color: inherit; background: none; border: 1px solid var(--line); border-radius: .4rem; padding: .3rem .6rem }
  input:focus-visible { outline: 2px solid var(--honey) }
</style>
<main>
  <h1>${escapeHtml(name)}</h1>
  <p class="kind">a cocoon of kind ${escapeHtml(kind)}, served by Hive</p>
  <section><h2>Requests</h2><a href="echo">echo</a><a href="health">health</a><a href="sse">sse</a></section>
  <section><h2>Server-sent events</h2><output id="events">connecting…</output></section>
  <section>
    <h2><label for="text">WebSocket echo</label></h2>
    <input id="text" placeholder="say something" autocomplete="off">
    <output id="echo" aria-live="polite">connecting…</output>
  </section>
</main>
<script>
  const show = (id, text) => { document.getElementById(id).textContent = text }
  const events = new EventSource('sse')
  events.addEventListener('tick', (event) => show('events', '#' + event.lastEventId + '  ' + event.data))
  events.addEventListener('error', () => show('events', 'disconnected'))
  const address = new URL('ws', location.href)
  address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:'
  const socket = new WebSocket(address)
  socket.addEventListener('open', () => show('echo', 'connected'))
  socket.addEventListener('message', (event) => show('echo', event.data))
  socket.addEventListener('close', () => show('echo', 'disconnected'))
  document.getElementById('text').addEventListener('input', (event) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(event.target.value)
  })
</script>
</html>
`
}

function escapeHtml(text) {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
