/** Random tests ask the same in every run, else they would fail by chance; `TIERCE_SEED` has them ask something else. */
import fc from 'fast-check'

fc.configureGlobal({ seed: Number(process.env.TIERCE_SEED ?? 1) })
