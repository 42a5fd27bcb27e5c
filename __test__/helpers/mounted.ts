import { execFileSync, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { watch } from './child.js'
import { tempDir } from './temp.js'

const script = fileURLToPath(new URL('mounted.mjs', import.meta.url))

/** Whether this machine lets a process mount a file system that only it sees. */
export function canMount(): boolean {
  try {
    execFileSync('unshare', ['-rm', 'sh', '-c', 'mount -t tmpfs tmpfs /mnt'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Runs a scenario of `mounted.mjs` on a file system of so many bytes, and gives what it found. */
export async function onMount<T>(scenario: string, bytes: number): Promise<T> {
  const shell = 'mount -t tmpfs -o size="$1" tmpfs "$2" && exec "$3" "$4" "$5" "$2"'
  const args = ['-rm', 'sh', '-c', shell, 'sh', String(bytes), tempDir(), process.execPath, script, scenario]
  const { NODE_OPTIONS: _, ...env } = process.env
  const lines = await watch(spawn('unshare', args, { env })).done
  return JSON.parse(lines.at(-1) ?? '')
}
