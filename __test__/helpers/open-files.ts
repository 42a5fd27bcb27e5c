import { readdirSync, readlinkSync } from 'node:fs'

/** Files below a directory that this process has open. */
export function openFiles(dir: string): string[] {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return '' // that of the listing
    }
  })
  return links.filter((link) => link.startsWith(dir))
}
