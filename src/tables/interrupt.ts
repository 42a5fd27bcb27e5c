/** Statements that can be interrupted, and tell how far they are. */
import { callback, signalOption } from '../options.js'
import { type NativeConnection, native } from './columnar.js'

/** How far a statement is, as DuckDB guesses it. */
export interface Progress {
  /** 0 to 100; -1 where nothing is known. */
  percentage: number
  /** Rows read so far. */
  rows: number
  /** Rows to read. */
  total: number
}

/** Options of one statement. */
export interface QueryOptions {
  /** Interrupts the statement; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined
  /** Told about ten times a second how far the statement is. */
  onProgress?: ((progress: Progress) => void) | undefined
}

/** Checks what calls have in common. @throws InvalidOptionError `E_INVALID_OPTION` */
export function checkCall({ signal, onProgress }: QueryOptions): void {
  if (signal !== undefined) signalOption(signal)
  if (onProgress !== undefined) callback(onProgress, 'onProgress')
}

/** How often progress is told, and an interrupt repeated: one that comes before its statement has begun is lost. Milliseconds. */
const [PROGRESS, AGAIN] = [100, 20]

/** Runs what can be interrupted on a connection. */
export async function interruptible<T>(
  connection: Pick<NativeConnection, 'interrupt' | 'progress'>,
  options: QueryOptions,
  run: () => Promise<T>,
): Promise<T> {
  const { signal, onProgress } = options
  signal?.throwIfAborted()
  let again: NodeJS.Timeout | undefined
  const abort = () => {
    connection.interrupt()
    again = setInterval(() => connection.interrupt(), AGAIN)
  }
  const timer = onProgress && setInterval(() => onProgress(connection.progress()), PROGRESS)
  signal?.addEventListener('abort', abort, { once: true })
  try {
    return await native(run)
  } catch (error) {
    if (signal?.aborted && (error as { context?: { interrupted?: string } }).context?.interrupted)
      throw signal.reason
    throw error
  } finally {
    clearInterval(timer)
    clearInterval(again)
    signal?.removeEventListener('abort', abort)
  }
}
