/**
 * The event loop as it was when the package was loaded: a test's fake timers would hold up what does not wait for a time to come.
 */
export const { queueMicrotask, setImmediate } = globalThis
export const { nextTick } = process

/** Waits so many milliseconds. Not `node:timers/promises`, which costs the start of every program that imports tierce. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}

/** Lets the event loop do what else is due. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
