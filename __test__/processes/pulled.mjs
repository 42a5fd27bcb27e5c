/** The definition of a table: a row a number, with the number of the fetch that brought it. */
export const numbered = ({ defineTable, integer, text }) =>
  defineTable('numbered', {
    name: text().primaryKey(),
    at: integer().primaryKey(),
    fetch: integer().notNull(),
  })
