/** The raw binding. Nothing else imports the generated file. */
import type * as Binding from '../index.js'
import { makeError } from './errors.js'

export type {
  NativeCells,
  NativeCoverageRules,
  NativeDatabase,
  NativeDisk,
  NativeEntry,
  NativeLedger,
  NativePlan,
  NativeReader,
  NativeRecord,
  NativeShared,
  NativeStep,
  NativeTurns,
} from '../index.js'

let binding: typeof Binding | undefined

/**
 * The addon, loaded when it is first needed: a cache without a directory never pays for it.
 * @throws UnavailableError `E_UNAVAILABLE` where no binary for this platform is installed
 */
export function native(): typeof Binding {
  if (binding === undefined) {
    try {
      binding = require('../index.js') as typeof Binding
    } catch (cause) {
      const platform = `${process.platform}-${process.arch}`
      throw makeError(
        'E_UNAVAILABLE',
        `The native part of tierce cannot be loaded on ${platform}: install tierce again without leaving out optional dependencies, or use a cache without a dir.`,
        { platform },
        cause,
      )
    }
  }
  return binding
}
