import { createRequire } from 'node:module'
import { onTestFinished, vi } from 'vitest'
import type * as Binding from '../../index.js'

const { NativeDisk } = createRequire(import.meta.url)('../../index.js') as typeof Binding

type Disk = Binding.NativeDisk
/** What the addon gives as functions, and by which methods. */
const GIVEN = { fetch: 'fetcher', ask: 'asker' } as const
type Given = keyof typeof GIVEN
type Method =
  | Given
  | Exclude<keyof Disk, 'fetcher' | 'asker' | 'epochs' | 'sharesEpochs' | 'epochAt' | 'takeFaults' | 'close'>
type Call = (...args: unknown[]) => unknown

/** What stands in for these functions, of each disk tier that is opened from now on. */
const instead: { [Name in Given]?: ((call: Call) => Call) | undefined } = {}
for (const name of Object.keys(GIVEN) as Given[]) {
  const giver = NativeDisk.prototype[GIVEN[name]] as (this: Disk) => Call
  const giving = function (this: Disk): Call {
    const call = giver.call(this)
    return (...args) => (instead[name]?.(call) ?? call)(...args)
  }
  Object.defineProperty(NativeDisk.prototype, GIVEN[name], { value: giving, configurable: true })
}

/** Until the test ends, these methods of the disk tier fail as a full disk does, or with another code. */
export function failDisk(methods: readonly Method[], code = 'E_STORAGE_FULL'): void {
  replace(methods, () => () => {
    throw Object.assign(new Error('cannot write: no space left'), { code, context: { path: '/full' } })
  })
}

/** Until the test ends, counts the calls of the addon's disk tier: gives the names of those since it was asked last. */
export function countCalls(): () => string[] {
  const calls: string[] = []
  const names = Object.getOwnPropertyNames(NativeDisk.prototype).filter((name) => name !== 'constructor')
  replace([...Object.keys(GIVEN), ...names] as Method[], (name, call) => {
    return function (this: unknown, ...args) {
      calls.push(name)
      return call.apply(this, args)
    }
  })
  return () => calls.splice(0)
}

function replace(methods: readonly Method[], by: (name: Method, call: Call) => Call): void {
  for (const method of methods) {
    if (method === 'fetch' || method === 'ask') {
      instead[method] = (call) => by(method, call)
      onTestFinished(() => {
        instead[method] = undefined
      })
    } else {
      const call = NativeDisk.prototype[method] as Call
      const spy = vi.spyOn(NativeDisk.prototype, method).mockImplementation(by(method, call) as never)
      onTestFinished(() => spy.mockRestore())
    }
  }
}

/** Reads and writes. */
export const READS: readonly Method[] = ['fetch', 'read', 'readSync', 'fetchMany', 'readMany', 'state']
export const WRITES: readonly Method[] = ['apply', 'write', 'writeSync', 'touch']
