const { exerciseTables } = require('./tables.cjs')

exerciseTables(require('tierce'), process.argv[2])
