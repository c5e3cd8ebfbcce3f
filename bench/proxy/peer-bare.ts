import { createServer } from 'node:http'
import { Pool } from 'undici'

/** The floor: what node:http and undici cost together when nothing is looked up, filtered, counted or guarded. */

const [port, upstream] = process.argv.slice(2)
const pool = new Pool(`http://127.0.0.1:${upstream}`)

createServer((request, response) => {
  const { method = 'GET', url = '/', headers } = request
  const fields = { ...headers }
  delete fields.connection
  pool.request({ path: url, method: method as 'GET', headers: fields }).then(
    (answer) => {
      response.writeHead(answer.statusCode, answer.headers)
      answer.body.pipe(response)
    },
    () => response.destroy(),
  )
}).listen(Number(port), '127.0.0.1')
