/** Where the readers of settings say what is wrong. No line ever holds the value of a setting. */
export interface Notes {
  readonly problems: string[]
  readonly warnings: string[]
}

/** The environment, always passed as an argument: `process.env` itself is named by the callers of `readConfig` only. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Reads the text of one setting. `undefined` = it was wrong and the notes say so. */
export type SettingReader<T> = (text: string, name: string, notes: Notes) => T | undefined

/** Reads settings by name from one environment into one set of notes. */
export interface SettingSource {
  readonly env: Environment
  readonly notes: Notes
  /** The value of a setting; `fallback` when it is not set, blank or wrong. Blank counts as not set. */
  read<T, F>(name: string, reader: SettingReader<T>, fallback: F): T | F
}

export function settingSource(env: Environment, notes: Notes): SettingSource {
  return {
    env,
    notes,
    read(name, reader, fallback) {
      const text = setText(env, name)
      return (text === null ? undefined : reader(text, name, notes)) ?? fallback
    },
  }
}

/** The text of a setting without the blanks around it; null when it is not set or blank. */
export function setText(env: Environment, name: string): string | null {
  return env[name]?.trim() || null
}

/** Reports a wrong setting; returns nothing, so that readers can end with it. */
export function wrongSetting(name: string, wrong: string, right: string, notes: Notes): undefined {
  notes.problems.push(`${name} ${wrong}. Right: ${right}.`)
  return undefined
}
