import type { ActionContext } from '../context.ts'
import type { Action } from '../state/step.ts'
import { awaitReady } from './await-ready.ts'
import { awaitRestart } from './await-restart.ts'
import { launch } from './launch.ts'
import { prepare } from './prepare.ts'
import { remove, stop } from './stop.ts'
import { watch } from './watch.ts'

type Perform = (context: ActionContext, signal: AbortSignal) => Promise<void>

/** Every action reads the row, calls the driver and reports facts. It may be aborted or die anywhere and runs again. */
const PERFORM: Readonly<Record<Exclude<Action, 'none'>, Perform>> = {
  prepare,
  launch,
  await_ready: awaitReady,
  watch,
  begin_stop: (context) => report(context, 'stopping'),
  stop,
  await_restart: awaitRestart,
  next_attempt: (context) => report(context, 'next_attempt'),
  remove,
}

export function act(action: Exclude<Action, 'none'>, context: ActionContext, signal: AbortSignal): Promise<void> {
  return PERFORM[action](context, signal)
}

async function report(context: ActionContext, type: 'stopping' | 'next_attempt'): Promise<void> {
  await context.observe(context.row().record.attempt, { type })
}
