//! The statements on declared tables: how they are made, filled and emptied. `declared.rs` says what they are.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ToSql, params};

use super::super::declared::{
    ColumnType, MetaColumn, MetaTable, differs, invalid, merged, quoted, same, shown, violation,
};
use super::super::extras::{Cell, Extras, MetaRow};
use super::super::row::{EntryRow, Removed};
use super::Db;
use super::error::damaged;
use super::transaction::Transaction;
use crate::error::Result;

/// What a row says of its entry.
#[derive(Clone, Copy, Debug)]
pub(in crate::disk) struct Holder<'a> {
    pub id: i64,
    pub key: &'a [u8],
    /// The millisecond from which it is not live; the last one where it lives for ever.
    pub until: i64,
}

impl<'a> Holder<'a> {
    pub fn of(row: &EntryRow<'a>) -> Self {
        let times = [row.expires, row.freshness.until];
        let until = times.into_iter().flatten().min().map_or(i64::MAX, |ms| ms as i64);
        Self { id: row.id, key: row.key, until }
    }
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// What each table has before its columns: no declared name starts so, and none is `key`.
const OWN: &str = "tierce_id INTEGER PRIMARY KEY, tierce_until INTEGER NOT NULL, key TEXT NOT NULL";
const NOT_NULL: i64 = 1;
const UNIQUE: i64 = 2;
const INDEXED: i64 = 4;

/// By which queries join tables.
fn key_index(table: &str) -> String {
    format!("index_key_of_{table}")
}

impl Db {
    /// What is declared in the database.
    pub fn declared(&self) -> Result<Vec<MetaTable>> {
        let sql = "SELECT table_name, name, type, flags FROM declared ORDER BY table_name, position";
        let rows = self.all(sql, [], |row| {
            let column_type = row.get::<_, String>(2)?;
            let flags: i64 = row.get(3)?;
            let column = ColumnType::named(&column_type).map(|column_type| {
                Ok::<_, rusqlite::Error>(MetaColumn {
                    name: row.get(1)?,
                    column_type,
                    is_not_null: flags & NOT_NULL != 0,
                    is_unique: flags & UNIQUE != 0,
                    is_indexed: flags & INDEXED != 0,
                })
            });
            Ok((row.get::<_, String>(0)?, column.transpose()?))
        })?;
        let mut tables: Vec<MetaTable> = Vec::new();
        for (table, column) in rows {
            let column = column.ok_or_else(|| damaged(&self.path, "a declared column has no type"))?;
            match tables.last_mut().filter(|last| last.name == table) {
                Some(last) => last.columns.push(column),
                None => tables.push(MetaTable { name: table, columns: vec![column] }),
            }
        }
        Ok(tables)
    }

    /// Whether the database has what a declaration asks for.
    pub fn has_declared(&self, wanted: &[MetaTable]) -> Result<bool> {
        let known = self.declared()?;
        for table in wanted {
            let Some(known) = known.iter().find(|known| known.name == table.name) else { return Ok(false) };
            let covers = |column: &MetaColumn| {
                known.column(&column.name).is_some_and(|known| {
                    MetaColumn { is_indexed: known.is_indexed || column.is_indexed, ..column.clone() }
                        == *known
                })
            };
            let leaves_out = |known: &MetaColumn| known.is_not_null && table.column(&known.name).is_none();
            if !table.columns.iter().all(covers)
                || known.columns.iter().any(leaves_out)
                || !self.is_made(known)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the table is as its declaration has it: damage may have taken one and left the other, and an earlier version
    /// made it without the index of its keys.
    fn is_made(&self, table: &MetaTable) -> Result<bool> {
        let sql = "SELECT 1 FROM pragma_index_list(?1) WHERE name = ?2";
        let index = [format!("meta_{}", table.name), key_index(&table.name)];
        if self.one(sql, index, |_| Ok(()))?.is_none() {
            return Ok(false);
        }
        let sql = "SELECT name, type FROM pragma_table_info(?1) WHERE cid > 2 ORDER BY cid";
        let made = self.all(sql, [format!("meta_{}", table.name)], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })?;
        let wanted = table.columns.iter().map(|column| (column.name.as_str(), column.column_type.sql()));
        Ok(made.iter().map(|(name, sql)| (name.as_str(), sql.as_str())).eq(wanted))
    }
}

impl Transaction<'_> {
    /// Makes the database have what a declaration asks for: tables, columns and indexes are added.
    pub fn declare(&self, wanted: &[MetaTable]) -> Result<()> {
        for table in wanted {
            let known = self.db.declared()?;
            match known.into_iter().find(|known| same(&known.name, &table.name)) {
                None => self.make(table)?,
                Some(known) => {
                    let merged = merged(&known, table)?;
                    if merged != known || !self.db.is_made(&known)? {
                        let grows =
                            merged.columns[known.columns.len()..].iter().find(|column| column.is_not_null);
                        if let Some(column) = grows.filter(|_| self.has_rows(&known)) {
                            let why = "is notNull, and there are rows without it";
                            return Err(differs(&known.name, &column.name, why));
                        }
                        self.db.run_once(&format!("DROP TABLE IF EXISTS {}", merged.sql_name()))?;
                        self.make(&merged)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn has_rows(&self, table: &MetaTable) -> bool {
        let sql = format!("SELECT 1 FROM {} LIMIT 1", table.sql_name());
        self.db.one(&sql, [], |_| Ok(())).is_ok_and(|row| row.is_some())
    }

    /// Makes a table, and its rows from what entries carry.
    fn make(&self, table: &MetaTable) -> Result<()> {
        self.db.change("DELETE FROM declared WHERE table_name = ?1", [&table.name])?;
        let mut definitions = vec![OWN.to_owned()];
        for (position, column) in table.columns.iter().enumerate() {
            definitions.push(format!("{} {}", quoted(&column.name), column.column_type.sql()));
            let bits =
                [(column.is_not_null, NOT_NULL), (column.is_unique, UNIQUE), (column.is_indexed, INDEXED)];
            let flags: i64 = bits.into_iter().map(|(is_set, bit)| if is_set { bit } else { 0 }).sum();
            self.db.change(
                "INSERT INTO declared (table_name, position, name, type, flags) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![table.name, position as i64, column.name, column.column_type.name(), flags],
            )?;
        }
        self.db.run_once(&format!("CREATE TABLE {} ({})", table.sql_name(), definitions.join(", ")))?;
        let index = quoted(&key_index(&table.name));
        self.db.run_once(&format!("CREATE INDEX {index} ON {} (key)", table.sql_name()))?;
        for (position, column) in table.columns.iter().enumerate() {
            if column.is_unique || column.is_indexed {
                let unique = if column.is_unique { "UNIQUE " } else { "" };
                let index = quoted(&format!("index_{position}_of_{}", table.name));
                let place = format!("{} ({})", table.sql_name(), quoted(&column.name));
                self.db.run_once(&format!("CREATE {unique}INDEX {index} ON {place}"))?;
            }
        }
        self.fill(table)
    }

    fn fill(&self, table: &MetaTable) -> Result<()> {
        let mut outcome = Ok(());
        self.db.bodies(|holder, body| {
            let rows = Extras::parse(body).map(|extras| extras.meta).unwrap_or_default();
            if let Some(row) = rows.iter().find(|row| row.table == table.name) {
                // What no longer fits was made by damage, and stays with its entry alone.
                if let Ok(cells) = table.cells(row) {
                    outcome = self.insert_meta(table, holder, &cells);
                }
            }
            outcome.is_ok()
        })?;
        outcome
    }

    fn insert_meta(&self, table: &MetaTable, holder: Holder<'_>, cells: &[Cell<'_>]) -> Result<()> {
        // Named, as later caches may have added columns.
        let names: Vec<_> = table.columns.iter().map(|column| quoted(&column.name)).collect();
        let sql = format!(
            "INSERT OR IGNORE INTO {} (tierce_id, tierce_until, key, {}) VALUES (?, ?, ?{})",
            table.sql_name(),
            names.join(", "),
            ", ?".repeat(cells.len())
        );
        let key = String::from_utf8_lossy(holder.key);
        let mut values: Vec<&dyn ToSql> = vec![&holder.id, &holder.until, &key];
        values.extend(cells.iter().map(|cell| cell as &dyn ToSql));
        self.db.change(&sql, values.as_slice()).map(|_| ())
    }

    /// An entry lives for longer or shorter than its rows say.
    pub fn retime(&self, holder: Holder<'_>) -> Result<()> {
        for table in self.db.declared()? {
            let sql = format!("UPDATE {} SET tierce_until = ?2 WHERE tierce_id = ?1", table.sql_name());
            self.db.change(&sql, [holder.id, holder.until])?;
        }
        Ok(())
    }

    /// Stores the rows that an entry has in declared tables. An expired entry that has a unique value is removed for it, and
    /// one that a later write may take it from is noted: see [`Transaction::settle_unique`].
    pub fn put_meta(
        &self,
        declared: &[MetaTable],
        holder: Holder<'_>,
        rows: &[MetaRow<'_>],
        now: u64,
    ) -> Result<Vec<Removed>> {
        let mut removed = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            let table = declared.iter().find(|table| table.name == row.table).ok_or_else(|| {
                let why = format!(
                    "the table {:?} is not declared; declare it in the option meta of the cache",
                    row.table
                );
                invalid(&row.table, why)
            })?;
            if rows[..at].iter().any(|before| before.table == row.table) {
                return Err(invalid(&row.table, format!("two rows of one entry are of {:?}", row.table)));
            }
            let cells = table.cells(row)?;
            for (column, cell) in table.columns.iter().zip(&cells) {
                if column.is_unique && *cell != Cell::Null {
                    removed.extend(self.make_room(table, column, cell, now)?);
                }
            }
            self.insert_meta(table, holder, &cells)?;
        }
        Ok(removed)
    }

    /// A unique value that another entry has is a violation, unless that entry has expired.
    fn make_room(
        &self,
        table: &MetaTable,
        column: &MetaColumn,
        cell: &Cell<'_>,
        now: u64,
    ) -> Result<Option<Removed>> {
        let sql = format!("SELECT tierce_id FROM {} WHERE {} = ?1", table.sql_name(), quoted(&column.name));
        let Some(other) = self.db.one(&sql, [cell], |row| row.get::<_, i64>(0))? else { return Ok(None) };
        if let Some(expired) = self.delete_expired(other, now)? {
            return Ok(Some(expired));
        }
        let why = format!(
            "another entry has {} in the column {:?} of the table {:?}, which is unique",
            shown(cell),
            column.name,
            table.name
        );
        let fault = violation(&table.name, &column.name, cell, why);
        match &mut *self.displaced.borrow_mut() {
            None => return Err(fault),
            Some(displaced) => displaced.push((other, self.brought(other)?, fault)),
        }
        self.db.change(&format!("DELETE FROM {} WHERE tierce_id = ?1", table.sql_name()), [other])?;
        Ok(None)
    }

    /// From now on, a unique value may be taken from an entry that a later write replaces or removes.
    pub fn defer_unique(&self) {
        self.displaced.replace(Some(Vec::new()));
    }

    /// Fails where an entry is as it was when another took a unique value from it.
    pub fn settle_unique(&self) -> Result<()> {
        for (id, brought, fault) in self.displaced.take().into_iter().flatten() {
            if brought.is_some() && self.brought(id)? == brought {
                return Err(fault);
            }
        }
        Ok(())
    }

    /// What tells a write of an entry that has rows from every other.
    fn brought(&self, id: i64) -> Result<Option<i64>> {
        self.db.one("SELECT seal FROM extras WHERE id = ?1", [id], |row| row.get(0))
    }

    /// Removes the rows of an entry.
    pub fn drop_meta(&self, id: i64, rows: &[MetaRow<'_>]) -> Result<()> {
        for row in rows {
            let known = "SELECT 1 FROM declared WHERE table_name = ?1";
            if self.db.one(known, [&row.table], |_| Ok(()))?.is_some() {
                let table = quoted(&format!("meta_{}", row.table));
                self.db.change(&format!("DELETE FROM {table} WHERE tierce_id = ?1"), [id])?;
            }
        }
        Ok(())
    }

    /// As [`Transaction::drop_meta`], where damage took the list; or all rows.
    pub fn drop_all_meta(&self, id: Option<i64>) -> Result<()> {
        for table in self.db.declared()? {
            let sql = format!("DELETE FROM {}", table.sql_name());
            match id {
                Some(id) => self.db.change(&format!("{sql} WHERE tierce_id = ?1"), [id])?,
                None => self.db.change(&sql, [])?,
            };
        }
        Ok(())
    }
}
