// The cocoon's side of the signaling protocol, both generations, with the WebSocket client that Node has built in.
//
// A cocoon connects, registers with its setup token, and stays connected. It never connects a second time: when the
// socket closes, its work is over and it ends with code 0. On TERM it deregisters first.

const CONFIRM_MS = 10_000
const GOODBYE_MS = 200
const VERSION = '1.0.0'

/**
 * @param {{url: string, setupToken: string, secret: string, name: string}} identity
 * @param {(code: number, why: string) => void} end  called once when there is nothing left to do
 * @returns {{goodbye: () => Promise<void>}}
 */
export function joinSignaling(identity, end) {
  const socket = new WebSocket(`${identity.url}${identity.url.includes('?') ? '&' : '?'}kind=cocoon`)
  const state = { deviceId: null, words: generation2, isOver: false }
  const finish = (code, why) => {
    if (state.isOver) return
    state.isOver = true
    clearTimeout(late)
    end(code, why)
  }
  const late = setTimeout(() => finish(1, 'the signaling server does not confirm the registration'), CONFIRM_MS)
  socket.addEventListener('open', () => send(socket, state.words.register(identity)))
  socket.addEventListener('message', ({ data }) => receive(socket, state, { data, identity, finish, late }))
  socket.addEventListener('error', () => {}) // a close always follows
  socket.addEventListener('close', () => {
    if (state.deviceId === null) finish(1, 'the signaling server cannot be reached, or refused the registration')
    else finish(0, 'the connection to the signaling server is closed')
  })
  return { goodbye: () => goodbye(socket, state) }
}

function receive(socket, state, { data, identity, finish, late }) {
  const message = parse(data)
  if (message === null || state.deviceId !== null) return
  if (message.type === state.words.registered) {
    state.deviceId = message.device_id
    clearTimeout(late)
    console.log('registered with the signaling server')
  } else if (state.words === generation2 && ['hello', 'error', 'access_denied'].includes(message.type)) {
    // Only the older generation says this; it knows no roles in the address and does not mind ours.
    state.words = generation1
    send(socket, state.words.register(identity))
  } else if (state.words.refusals.includes(message.type)) {
    finish(1, 'the signaling server refused the registration')
  }
}

const generation1 = {
  register: ({ secret, setupToken, name }) => ({
    type: 'register_with_setup_token',
    secret,
    setup_token: setupToken,
    name,
    version: VERSION,
  }),
  registered: 'registered_with_owner',
  refusals: ['access_denied'],
  deregister: 'deregister',
  deregistered: 'deregistered',
}

const generation2 = {
  register: ({ secret, setupToken, name }) => ({
    type: 'device_register',
    secret,
    version: VERSION,
    tags: { setup_token: setupToken, name },
    device_type: 'cocoon',
    device_config: { adi_plugins: [], protocols: [] },
  }),
  registered: 'device_register_response',
  refusals: ['system_error'],
  deregister: 'device_deregister',
  deregistered: 'device_deregister_response',
}

/** Resolves when the server has taken note, or after a moment. */
function goodbye(socket, state) {
  state.isOver = true
  if (state.deviceId === null || socket.readyState !== WebSocket.OPEN) return Promise.resolve()
  return new Promise((resolve) => {
    setTimeout(resolve, GOODBYE_MS)
    socket.addEventListener('close', resolve)
    socket.addEventListener('message', ({ data }) => {
      if (parse(data)?.type === state.words.deregistered) resolve()
    })
    send(socket, { type: state.words.deregister, device_id: state.deviceId, reason: 'shutdown' })
  }).finally(() => socket.close())
}

function send(socket, body) {
  socket.send(JSON.stringify(body))
}

function parse(data) {
  try {
    const message = JSON.parse(data)
    return typeof message === 'object' ? message : null
  } catch {
    return null // not a message of this protocol
  }
}
