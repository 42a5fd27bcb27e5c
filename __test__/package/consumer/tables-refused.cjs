require('./tables.cjs').refusal(require('tierce'))
