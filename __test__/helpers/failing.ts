import { createRequire } from 'node:module'
import { onTestFinished, vi } from 'vitest'
import type * as Binding from '../../index.js'

const { NativeDisk } = createRequire(import.meta.url)('../../index.js') as typeof Binding

type Method = Exclude<
  keyof Binding.NativeDisk,
  'epochs' | 'sharesEpochs' | 'epochAt' | 'takeFaults' | 'close'
>

/** Until the test ends, these methods of the disk tier fail as a full disk does, or with another code. */
export function failDisk(methods: readonly Method[], code = 'E_STORAGE_FULL'): void {
  for (const method of methods) {
    const spy = vi.spyOn(NativeDisk.prototype, method).mockImplementation(() => {
      throw Object.assign(new Error('cannot write: no space left'), { code, context: { path: '/full' } })
    })
    onTestFinished(() => spy.mockRestore())
  }
}

/** Reads and writes. */
export const READS: readonly Method[] = ['fetch', 'read', 'readSync', 'readMany', 'state']
export const WRITES: readonly Method[] = ['apply', 'write', 'writeSync', 'touch']
