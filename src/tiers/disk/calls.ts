/** Calls of the addon: its errors become ours. */
import { fromNative } from '../../errors.js'

/** On this thread. */
export function call<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw fromNative(error)
  }
}

/** On the thread pool. */
export async function wait<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw fromNative(error)
  }
}
