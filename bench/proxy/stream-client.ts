import { connect } from 'node:net'

/** Reads one long answer as fast as it comes and says how long that took: `<port> <path>`. */

const [port, path] = process.argv.slice(2)
const begun = performance.now()
let bytes = 0
const onread = {
  buffer: new Uint8Array(262_144),
  callback: (size: number) => {
    bytes += size
    return true
  },
}
const socket = connect({ port: Number(port), host: '127.0.0.1', onread } as never)
socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`)
socket.on('close', () => {
  process.stdout.write(JSON.stringify({ bytes, seconds: (performance.now() - begun) / 1_000 }))
})
