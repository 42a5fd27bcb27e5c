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

/** The platforms that there are binaries for; for Linux with glibc and with musl. */
const PLATFORMS = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64', 'win32-x64']

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
        `The native part of tierce cannot be loaded on ${platform}: ${whyNot(platform, cause)}, or use a cache without a dir.`,
        { platform },
        cause,
      )
    }
  }
  return binding
}

/** What is in the way, and what to do about it. */
function whyNot(platform: string, cause: unknown): string {
  if (!PLATFORMS.includes(platform))
    return `there are binaries for ${PLATFORMS.join(', ')}. Build one from source with Rust (npm run build in a clone)`
  // Each that was tried has the next one as its cause.
  for (let tried = (cause as Error).cause; tried instanceof Error; tried = tried.cause) {
    if (!/^cannot find module/i.test(tried.message))
      return `its binary is there, and the system says: ${tried.message.split('\n', 1)[0]!.replace(/\.$/, '')}. Install tierce again on this machine`
  }
  return `the package @tierce/core-${platform}… with its binary is not there. Install tierce again on this machine, without leaving out optional dependencies`
}
