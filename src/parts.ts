/**
 * Parts that many programs never use. Of what is published each is a file of its own, read when the part is first used: V8 compiles some
 * 30 KB in a millisecond, in every program that imports the package.
 */
import { makeError, TierceError } from './errors.js'

interface Parts {
  tables: typeof import('./parts/tables.js')
  'pull-through': typeof import('./parts/pull-through.js')
  duckdb: typeof import('./parts/duckdb.js')
  structured: typeof import('./parts/structured.js')
  listing: typeof import('./parts/listing.js')
  transaction: typeof import('./parts/transaction.js')
  whole: typeof import('./parts/whole.js')
  'memory-files': typeof import('./parts/memory-files.js')
  ledger: typeof import('./parts/ledger.js')
  tracing: typeof import('./parts/tracing.js')
}

/** Those that were loaded: asking the module loader again takes longer than a short query. */
const loaded: { [N in keyof Parts]?: Parts[N] } = {}

/**
 * A part, loaded at the first call.
 * @throws UnavailableError `E_UNAVAILABLE`: it cannot be read, as where the process may open no more files; a later call tries again
 */
export function part<N extends keyof Parts>(name: N): Parts[N] {
  return loaded[name] ?? load(name)
}

function load<N extends keyof Parts>(name: N): Parts[N] {
  try {
    const part: Parts[N] = require(`./parts/${name}.js`)
    loaded[name] = part
    return part
  } catch (cause) {
    if (cause instanceof TierceError) throw cause
    const why = (cause as Error).message
    throw makeError('E_UNAVAILABLE', `A part of tierce cannot be loaded: ${why}`, { part: name }, cause)
  }
}
