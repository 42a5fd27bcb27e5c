//! What is known of each table: DuckDB's own catalog, and the schema `__tierce`.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use arrow_array::{Array as _, ArrayRef, Int64Array, RecordBatch, StringArray};

use super::Reads;
use crate::duck::{Connection, Name};
use crate::{Error, Kind, Result};

/// Raised when the tables of the schema `__tierce` change.
const FORMAT: i64 = 1;

/// What the names of tables start with that are not whole yet.
pub(super) const STAGE: &str = "__tierce_new_";

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as DuckDB writes it.
    pub kind: String,
    /// Whether it may hold nulls.
    pub nullable: bool,
}

/// What is known of a table. Times are milliseconds since the Unix epoch; none for a table that a statement of the user's made.
#[derive(Clone, Debug)]
pub struct TableInfo {
    /// Schema and table.
    pub name: Name,
    /// Rows.
    pub rows: u64,
    /// Bytes of the blocks that it is in; 0 while it is in the log only.
    pub bytes: u64,
    /// When it was first written.
    pub created: Option<i64>,
    /// When it was last written.
    pub updated: Option<i64>,
    /// When its time to live ends; none never.
    pub expires: Option<i64>,
    /// When it was last read.
    pub accessed: Option<i64>,
    /// How often it was read.
    pub hits: i64,
    /// Its columns.
    pub columns: Vec<Column>,
}

/// Makes what is kept, if it is not there.
pub(super) fn prepare(connection: &Connection) -> Result<()> {
    if let Some(version) = version(connection)? {
        return if version == FORMAT { drop_leftovers(connection) } else { Err(newer(version)) };
    }
    if connection.engine().access()? == crate::duck::Access::ReadOnly {
        return Ok(());
    }
    connection.transaction(|transaction| {
        transaction.run(&format!(
            "CREATE SCHEMA __tierce;
             CREATE TABLE __tierce.format AS SELECT {FORMAT}::BIGINT AS version;
             CREATE TABLE __tierce.tables (schema_name VARCHAR NOT NULL, table_name VARCHAR NOT NULL, created BIGINT NOT NULL,
                updated BIGINT NOT NULL, expires BIGINT, accessed BIGINT NOT NULL, hits BIGINT NOT NULL)"
        ))?;
        Ok(())
    })
}

/// Tables of a process that was killed before they were whole. The engine's other users of this process write none now.
fn drop_leftovers(connection: &Connection) -> Result<()> {
    let sql = format!(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database() AND starts_with(table_name, '{STAGE}')"
    );
    let found = connection.query(&sql, None)?;
    if connection.engine().access()? == crate::duck::Access::ReadOnly {
        return Ok(());
    }
    found.batches.iter().flat_map(names_of).try_for_each(|name| drop_table(connection, &name))
}

fn newer(version: i64) -> Error {
    let text =
        format!("The tables are of format {version}, and this release reads {FORMAT}: use a newer release.");
    Error::new(Kind::Format, text).with("format", version)
}

fn version(connection: &Connection) -> Result<Option<i64>> {
    let kept = Name::new("__tierce", "format");
    if !exists(connection, &kept)? {
        return Ok(None);
    }
    let result = connection.query("SELECT max(version) FROM __tierce.format", None)?;
    Ok(result.batches.first().map(|batch| batch.column(0).as_primitive::<Int64Type>().value(0)))
}

/// Whether this release's tables are there: a database that is read only may have none.
pub(super) fn is_kept(connection: &Connection) -> Result<bool> {
    exists(connection, &Name::new("__tierce", "tables"))
}

/// One row of parameters, `$1` onwards.
fn row(values: Vec<ArrayRef>) -> Result<RecordBatch> {
    let named = values.into_iter().enumerate().map(|(at, value)| ((at + 1).to_string(), value));
    Ok(RecordBatch::try_from_iter_with_nullable(named.map(|(name, value)| (name, value, true)))?)
}

fn text(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}

fn number(value: Option<i64>) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value]))
}

fn named(name: &Name) -> Vec<ArrayRef> {
    vec![text(&name.schema.to_ascii_lowercase()), text(&name.table.to_ascii_lowercase())]
}

/// A column of names as DuckDB compares them: in whatever case their ASCII letters are. Its `lower` knows more letters than that.
fn folded(column: &str) -> String {
    format!("translate({column}, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz')")
}

/// The condition that columns of names are those of [`named`], `$1` and `$2`.
fn is(schema: &str, table: &str) -> String {
    format!("{} = $1 AND {} = $2", folded(schema), folded(table))
}

/// As [`is`], in `__tierce.tables` and most of DuckDB's own tables.
fn is_this() -> String {
    is("schema_name", "table_name")
}

/// Whether there is such a table or view.
pub(super) fn exists(connection: &Connection, name: &Name) -> Result<bool> {
    let is = is("table_schema", "table_name");
    let sql =
        format!("SELECT 1 FROM information_schema.tables WHERE table_catalog = current_database() AND {is}");
    Ok(connection.query(&sql, Some(&row(named(name))?))?.rows() > 0)
}

/// When a table's time to live ends.
pub(super) fn expires(connection: &Connection, name: &Name) -> Result<Option<i64>> {
    let sql = format!("SELECT expires FROM __tierce.tables WHERE {} AND expires IS NOT NULL", is_this());
    let result = connection.query(&sql, Some(&row(named(name))?))?;
    Ok(result.batches.first().map(|batch| batch.column(0).as_primitive::<Int64Type>().value(0)))
}

/// Whether a table was written by this library.
pub(super) fn is_known(connection: &Connection, name: &Name) -> Result<bool> {
    let sql = format!("SELECT 1 FROM __tierce.tables WHERE {}", is_this());
    Ok(connection.query(&sql, Some(&row(named(name))?))?.rows() > 0)
}

/// Notes that a table was written.
pub(super) fn written(connection: &Connection, name: &Name, expires: Option<i64>, now: i64) -> Result<()> {
    let sql = format!("SELECT created, hits FROM __tierce.tables WHERE {}", is_this());
    let known = connection.query(&sql, Some(&row(named(name))?))?;
    let old =
        |at: usize| known.batches.first().map(|batch| batch.column(at).as_primitive::<Int64Type>().value(0));
    let (created, hits) = (old(0).unwrap_or(now), old(1).unwrap_or(0));
    forget(connection, name)?;
    let values = vec![
        text(&name.schema),
        text(&name.table),
        number(Some(created)),
        number(Some(now)),
        number(expires),
        number(Some(now)),
        number(Some(hits)),
    ];
    connection
        .query("INSERT INTO __tierce.tables VALUES ($1, $2, $3, $4, $5, $6, $7)", Some(&row(values)?))?;
    Ok(())
}

fn forget(connection: &Connection, name: &Name) -> Result<()> {
    let sql = format!("DELETE FROM __tierce.tables WHERE {}", is_this());
    connection.query(&sql, Some(&row(named(name))?)).map(drop)
}

/// Adds reads to what is known of a table.
pub(super) fn add_reads(connection: &Connection, name: &Name, reads: Reads) -> Result<()> {
    let mut values = named(name);
    values.extend([number(Some(reads.last)), number(Some(reads.count))]);
    let is = is_this();
    let sql =
        format!("UPDATE __tierce.tables SET accessed = greatest(accessed, $3), hits = hits + $4 WHERE {is}");
    connection.query(&sql, Some(&row(values)?)).map(drop)
}

/// Drops a table, or a view, and what is known of it.
pub(super) fn drop_table(connection: &Connection, name: &Name) -> Result<()> {
    drop_table_only(connection, name)?;
    forget(connection, name)
}

/// Drops a table, or a view; what is known of it stays.
pub(super) fn drop_table_only(connection: &Connection, name: &Name) -> Result<()> {
    let is = is("schema_name", "view_name");
    let views = format!("SELECT 1 FROM duckdb_views() WHERE database_name = current_database() AND {is}");
    let kind = if connection.query(&views, Some(&row(named(name))?))?.rows() > 0 { "VIEW" } else { "TABLE" };
    connection.run(&format!("DROP {kind} IF EXISTS {}", name.sql()?)).map(drop)
}

/// Drops what has expired.
pub(super) fn remove_expired(connection: &Connection, now: i64) -> Result<Vec<Name>> {
    let sql = "SELECT schema_name, table_name FROM __tierce.tables WHERE expires <= $1";
    let result = connection.query(sql, Some(&row(vec![number(Some(now))])?))?;
    let names: Vec<Name> = result.batches.iter().flat_map(names_of).collect();
    names.iter().try_for_each(|name| drop_table(connection, name))?;
    Ok(names)
}

fn names_of(batch: &RecordBatch) -> Vec<Name> {
    let (schemas, tables) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
    (0..batch.num_rows()).map(|at| Name::new(schemas.value(at), tables.value(at))).collect()
}

/// All tables but those of this library, oldest first.
pub(super) fn list(connection: &Connection) -> Result<Vec<TableInfo>> {
    let kept = if is_kept(connection)? {
        "__tierce.tables"
    } else {
        "(SELECT ''::VARCHAR AS schema_name, ''::VARCHAR AS table_name, 0::BIGINT AS created, 0::BIGINT AS updated, 0::BIGINT AS expires,
          0::BIGINT AS accessed, 0::BIGINT AS hits WHERE false)"
    };
    let same = |name: &str| format!("{} = {}", folded(&format!("k.{name}")), folded(&format!("t.{name}")));
    let (schema, table) = (same("schema_name"), same("table_name"));
    let result = connection.query(
        &format!(
            "SELECT t.schema_name, t.table_name, t.estimated_size::BIGINT, k.created, k.updated, k.expires, k.accessed, k.hits
             FROM duckdb_tables() t LEFT JOIN {kept} k ON {schema} AND {table}
             WHERE t.database_name = current_database() AND NOT t.internal AND NOT t.temporary AND t.schema_name <> '__tierce' AND NOT starts_with(t.table_name, '{STAGE}')
             ORDER BY k.created NULLS FIRST, t.table_oid"
        ),
        None,
    )?;
    Ok(result.batches.iter().flat_map(infos_of).collect())
}

fn infos_of(batch: &RecordBatch) -> Vec<TableInfo> {
    let number = |column: usize, at: usize| {
        let values = batch.column(column).as_primitive::<Int64Type>();
        values.is_valid(at).then(|| values.value(at))
    };
    let info = |(at, name)| TableInfo {
        name,
        rows: number(2, at).unwrap_or(0).unsigned_abs(),
        bytes: 0,
        created: number(3, at),
        updated: number(4, at),
        expires: number(5, at),
        accessed: number(6, at),
        hits: number(7, at).unwrap_or(0),
        columns: Vec::new(),
    };
    names_of(batch).into_iter().enumerate().map(info).collect()
}

/// Columns, rows and bytes of a table.
pub(super) fn measure(connection: &Connection, table: &mut TableInfo) -> Result<()> {
    table.columns = columns(connection, &table.name)?;
    table.bytes = bytes(connection, &table.name)?;
    let result = connection.query(&format!("SELECT count(*) FROM {}", table.name.sql()?), None)?;
    table.rows = first_number(&result.batches).unwrap_or(0);
    Ok(())
}

fn first_number(batches: &[RecordBatch]) -> Option<u64> {
    let values = batches.first()?.column(0).as_primitive_opt::<Int64Type>()?;
    values.is_valid(0).then(|| values.value(0).unsigned_abs())
}

/// The columns of a table, in their order.
pub(super) fn columns(connection: &Connection, name: &Name) -> Result<Vec<Column>> {
    let sql = format!(
        "SELECT column_name, data_type, is_nullable FROM duckdb_columns()
        WHERE database_name = current_database() AND {} ORDER BY column_index",
        is_this()
    );
    let result = connection.query(&sql, Some(&row(named(name))?))?;
    let of = |batch: &RecordBatch| -> Vec<Column> {
        let (names, kinds) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
        let nullable = batch.column(2).as_boolean();
        let column = |at| Column {
            name: names.value(at).into(),
            kind: kinds.value(at).into(),
            nullable: nullable.value(at),
        };
        (0..batch.num_rows()).map(column).collect()
    };
    Ok(result.batches.iter().flat_map(of).collect())
}

/// The columns of a table's primary key.
pub(super) fn primary_key(connection: &Connection, name: &Name) -> Result<Vec<String>> {
    let sql = format!(
        "SELECT unnest(constraint_column_names) FROM duckdb_constraints() WHERE constraint_type = 'PRIMARY KEY'
        AND database_name = current_database() AND {}",
        is_this()
    );
    let result = connection.query(&sql, Some(&row(named(name))?))?;
    let of = |batch: &RecordBatch| -> Vec<String> {
        let names = batch.column(0).as_string::<i32>();
        (0..batch.num_rows()).map(|at| names.value(at).to_owned()).collect()
    };
    Ok(result.batches.iter().flat_map(of).collect())
}

/// Bytes of the blocks that a table is in. Small tables share blocks: then the sum is over what the file has. 0 for a name with a
/// quote, which DuckDB's function cannot be given.
pub(super) fn bytes(connection: &Connection, name: &Name) -> Result<u64> {
    if name.schema.contains('"') || name.table.contains('"') {
        return Ok(0);
    }
    let table = crate::duck::literal(&name.sql()?)?;
    let result = connection.query(
        &format!(
            "WITH s AS (SELECT block_id, additional_block_ids FROM pragma_storage_info({table}) WHERE block_id >= 0),
                  b AS (SELECT block_id AS id FROM s UNION SELECT unnest(additional_block_ids) FROM s)
             SELECT (SELECT count(*) FROM b) * (SELECT block_size FROM pragma_database_size() WHERE database_name = current_database())"
        ),
        None,
    )?;
    Ok(first_number(&result.batches).unwrap_or(0))
}

/// Bytes in use, the log included. DuckDB writes the log's size for people.
pub(super) fn size(connection: &Connection) -> Result<u64> {
    let sql = "SELECT (used_blocks * block_size)::BIGINT FROM pragma_database_size() WHERE database_name = current_database()";
    let used = first_number(&connection.query(sql, None)?.batches).unwrap_or(0);
    let log = connection.engine().path()?.as_os_str().to_owned();
    let log = std::path::PathBuf::from({
        let mut log = log;
        log.push(".wal");
        log
    });
    Ok(used + std::fs::metadata(log).map_or(0, |found| found.len()))
}
