import type { HiveConfig } from '../settings.ts'
import { type SettingSource, wrongSetting } from './notes.ts'
import { secret, textBy } from './readers.ts'

type Webhook = Pick<HiveConfig, 'webhookUrl' | 'webhookSecret'>

const LEAST_SECRET = 16

/** Where events are posted to. Without a secret nobody there could tell them from forged ones. */
export function readWebhook(source: SettingSource): Webhook {
  const webhookUrl = source.read('HIVE_WEBHOOK_URL', httpUrl, null)
  const webhookSecret = source.read('HIVE_WEBHOOK_SECRET', secret(LEAST_SECRET), null)
  if (webhookUrl !== null && webhookSecret === null && !source.env['HIVE_WEBHOOK_SECRET']?.trim())
    wrongSetting(
      'HIVE_WEBHOOK_SECRET',
      'is not set although HIVE_WEBHOOK_URL is',
      'a secret of 16 characters',
      source.notes,
    )
  return { webhookUrl, webhookSecret }
}

export const httpUrl = textBy((text) => {
  if (!URL.canParse(text)) return null
  const { protocol, username, password, hash } = new URL(text)
  return /^https?:$/.test(protocol) && username + password + hash === '' ? text : null
}, 'an http or https address without a user name in it')
