// Bundled by the test, then run.
import * as tierce from 'tierce'
import { exercise } from './exercise.cjs'

exercise(tierce, process.argv[2])
