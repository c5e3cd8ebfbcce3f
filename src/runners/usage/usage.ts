/** What a cocoon uses now, over all its processes. `null` = not known, and `unknown` says why; never a made-up zero. */
export interface Usage {
  /** Milliseconds of CPU time so far. */
  readonly cpuMs: number | null
  /** Bytes, the page cache left out. */
  readonly memoryBytes: number | null
  /** null without a word in `unknown` = there is no limit. */
  readonly memoryLimitBytes: number | null
  readonly processes: number | null
  readonly threads: number | null
  /** Open file descriptors. */
  readonly openFiles: number | null
  /** Bytes so far through network interfaces of the cocoon's own, loopback left out. */
  readonly network: { readonly rxBytes: number; readonly txBytes: number } | null
  readonly unknown: Readonly<Partial<Record<UsageField, string>>>
}

export type UsageField = 'cpu' | 'memory' | 'memory_limit' | 'processes' | 'threads' | 'open_files' | 'network'
