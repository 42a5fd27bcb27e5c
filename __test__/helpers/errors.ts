import { TierceError } from 'tierce'

/** The error that a promise or a call ends with. */
export async function failure(run: Promise<unknown> | (() => unknown)): Promise<TierceError> {
  try {
    await (typeof run === 'function' ? run() : run)
  } catch (error) {
    if (error instanceof TierceError) return error
    throw error
  }
  throw new Error('it did not fail')
}

/** The code of the error that a call throws at once. */
export function codeOfSync(run: () => unknown): string | undefined {
  try {
    run()
  } catch (error) {
    return error instanceof TierceError ? error.code : String(error)
  }
  return undefined
}

/** The code of the error that a promise or a call ends with. */
export async function codeOf(run: Promise<unknown> | (() => unknown)): Promise<string> {
  return (await failure(run)).code
}
