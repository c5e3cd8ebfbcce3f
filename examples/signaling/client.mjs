#!/usr/bin/env node
// What a client of a signaling server does: lists hives, spawns, terminates. Needs nothing but Node (22 or later).
//
//   node examples/signaling/client.mjs hives
//   node examples/signaling/client.mjs spawn <kind> [name]
//   node examples/signaling/client.mjs terminate <container-id or name>
//
// SIGNALING_SERVER_URL says where the server is (ws://127.0.0.1:8080/ws). Generation 1 of the protocol.
import { randomUUID } from 'node:crypto'

const URL = process.env['SIGNALING_SERVER_URL'] || 'ws://127.0.0.1:8080/ws'
const [verb, target, name] = process.argv.slice(2)
const request_id = `${verb}-${randomUUID()}`

const messages = {
  hives: () => [{ type: 'list_hives', access_token: '' }, 'hives_list'],
  spawn: (setup_token) => [
    { type: 'spawn_cocoon', request_id, kind: target, setup_token, name },
    'spawn_cocoon_result',
  ],
  terminate: () => [{ type: 'terminate_cocoon', request_id, container_id: target }, 'terminate_cocoon_result'],
}

if (!Object.hasOwn(messages, verb ?? '') || (verb !== 'hives' && !target)) {
  console.error('Usage: client.mjs hives | spawn <kind> [name] | terminate <container-id or name>')
  process.exit(2)
}

const socket = new WebSocket(URL)
let awaited = null

socket.addEventListener('open', () => {
  // A cocoon needs a setup token to register; the server makes one.
  if (verb === 'spawn') socket.send(JSON.stringify({ type: 'request_setup_token' }))
  else ask()
})
socket.addEventListener('message', ({ data }) => {
  const message = JSON.parse(data)
  if (message.type === 'setup_token') ask(message.token)
  const isMine = message.request_id === undefined || message.request_id === request_id
  if (message.type === 'error' || (message.type === awaited && isMine)) {
    console.log(JSON.stringify(message, null, 2))
    process.exitCode = message.type === 'error' || message.success === false ? 1 : 0
    socket.close()
  }
})
socket.addEventListener('error', () => {
  console.error(`The signaling server at ${URL} cannot be reached`)
  process.exitCode = 1
})

function ask(token) {
  const [message, answer] = messages[verb](token)
  awaited = answer
  socket.send(JSON.stringify(message))
}
