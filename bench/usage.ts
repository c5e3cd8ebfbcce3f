/** With --help: prints how to run this benchmark, and ends. */
export function sayUsage(text: string): void {
  if (!process.argv.includes('--help')) return
  process.stdout.write(`Usage: ${text}\n`)
  process.exit()
}
