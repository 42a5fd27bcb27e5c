import * as tierce from 'tierce'
import { exerciseTables } from './tables.cjs'

await exerciseTables(tierce, process.argv[2])
