/** What the synchronous and the asynchronous form of a verb share. */

/** A value that is there, or a promise of it. */
export type Soon<T> = T | Promise<T>

/** Goes on with a value: at once where it is there. */
export function then<T, R>(value: Soon<T>, next: (value: T) => Soon<R>): Soon<R> {
  return value instanceof Promise ? value.then(next) : next(value)
}

/** As `then`, where the value is known to be there. */
export function now<T>(value: Soon<T>): T {
  return value as T
}

/** Goes on with `failed` where `run` throws, or its promise rejects. */
export function attempt<T>(run: () => Soon<T>, failed: (error: unknown) => T): Soon<T> {
  try {
    const soon = run()
    return soon instanceof Promise ? soon.catch(failed) : soon
  } catch (error) {
    return failed(error)
  }
}
