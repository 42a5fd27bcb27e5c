const { exercise } = require('./exercise.cjs')

exercise(require('tierce'), process.argv[2])
