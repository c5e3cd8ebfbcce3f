// The first step of every npm script: there `node` is the one that `npm ci` installed, unless it did not.
import { nodeProblem } from '../bin/own-node.js'

const problem = nodeProblem()
if (problem !== null) {
  process.stderr.write(`${problem}\n`)
  process.exitCode = 1
}
