//! What leads a query from the text of a key to the row of its entry: a table without rows of its own, which views join.
//!
//! Rows of entries are found by a number made of their keys, and no index has the texts. Of this table `key` is always known:
//! from the query, and then `id` leads to the row; or from the row, and then it is the text of its key.

use std::borrow::Cow;
use std::ffi::{CStr, c_int};
use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::vtab::{
    Context, Filters, IndexConstraintOp, IndexFlags, IndexInfo, Module, VTab, VTabConfig, VTabConnection,
    VTabCursor,
};
use rusqlite::{Connection, Result, ffi};

/// The id of the entry whose key has this text.
type IdOf = Arc<dyn Fn(&[u8]) -> i64 + Send + Sync>;

const KEY: c_int = 0;

/// Makes the table `tierce_keys (key, id)`: a row for each key that it is asked for.
pub(in crate::disk) fn join_by_keys(
    conn: &Connection,
    id_of: impl Fn(&[u8]) -> i64 + Send + Sync + 'static,
) -> Result<()> {
    const MODULE: Module<'_, KeyRows> = Module::eponymous_only_module();
    conn.create_module(c"tierce_keys", &MODULE, Some(Arc::new(id_of)))
}

#[repr(C)]
struct KeyRows {
    base: ffi::sqlite3_vtab,
    id_of: IdOf,
}

#[repr(C)]
struct KeyRow<'t> {
    base: ffi::sqlite3_vtab_cursor,
    table: &'t KeyRows,
    key: Option<Vec<u8>>,
}

#[allow(unsafe_code, reason = "the trait's layout: its base comes first")]
unsafe impl<'t> VTab<'t> for KeyRows {
    type Aux = IdOf;
    type Cursor = KeyRow<'t>;

    fn connect(
        db: &mut VTabConnection,
        id_of: Option<&IdOf>,
        _module: &[u8],
        _database: &[u8],
        _table: &[u8],
        _args: &[&[u8]],
    ) -> Result<(Cow<'static, CStr>, Self)> {
        db.config(VTabConfig::Innocuous)?;
        let id_of = Arc::clone(id_of.ok_or(rusqlite::Error::InvalidQuery)?);
        let table = Self { base: ffi::sqlite3_vtab::default(), id_of };
        Ok((Cow::Borrowed(c"CREATE TABLE x(key TEXT, id INTEGER)"), table))
    }

    fn best_index(&self, info: &mut IndexInfo) -> Result<bool> {
        let is_known = |(_, constraint): &(usize, _)| {
            let constraint: &rusqlite::vtab::IndexConstraint<'_> = constraint;
            constraint.column() == KEY
                && constraint.is_usable()
                && constraint.operator() == IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ
        };
        let known: Vec<_> = info.constraints().enumerate().filter(is_known).map(|(at, _)| at).collect();
        // One that takes two texts for the same is left to SQLite.
        let Some(at) = known.into_iter().find(|at| info.collation(*at) == Ok("BINARY")) else {
            return Ok(false);
        };
        info.constraint_usage(at).set_argv_index(1);
        info.set_idx_flags(IndexFlags::SQLITE_INDEX_SCAN_UNIQUE);
        info.set_estimated_cost(1.0);
        info.set_estimated_rows(1);
        Ok(true)
    }

    fn open(&'t mut self) -> Result<KeyRow<'t>> {
        Ok(KeyRow { base: ffi::sqlite3_vtab_cursor::default(), table: self, key: None })
    }
}

#[allow(unsafe_code, reason = "the trait's layout: its base comes first")]
unsafe impl VTabCursor for KeyRow<'_> {
    fn filter(&mut self, _idx_num: c_int, _idx_str: Option<&str>, args: &Filters<'_>) -> Result<()> {
        // What is no text is compared as its text, by SQLite once more.
        self.key = match args.iter().next() {
            Some(ValueRef::Text(text)) => Some(text.to_vec()),
            Some(ValueRef::Integer(number)) => Some(number.to_string().into()),
            Some(ValueRef::Real(number)) => Some(format!("{number:?}").into()),
            _ => None,
        };
        Ok(())
    }

    fn next(&mut self) -> Result<()> {
        self.key = None;
        Ok(())
    }

    fn eof(&self) -> bool {
        self.key.is_none()
    }

    fn column(&self, context: &mut Context, column: c_int) -> Result<()> {
        let Some(key) = self.key.as_deref() else { return Ok(()) };
        match column {
            KEY => context.set_result(ToSqlOutput::Borrowed(ValueRef::Text(key))),
            _ => context.set_result((self.table.id_of)(key)),
        }
    }

    fn rowid(&self) -> Result<i64> {
        Ok(0)
    }
}
