//! Writing tables: each write is one transaction, so that readers see the old or the new state.

use super::catalog::{self, Column, STAGE};
use super::{Source, Tables};
use crate::duck::{Connection, Name, Transaction, identifier, literal};
use crate::{Error, Kind, Result};

/// What happens to the rows that a table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They are replaced.
    Replace,
    /// They stay.
    Append,
    /// Those with the key of a new row are changed.
    Upsert,
}

/// A table as it is to be. Its columns are the source's, where nothing else is said.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// Columns with types of DuckDB's; constraints are in `kind`, too.
    pub columns: Vec<Column>,
    /// The primary key, or what rows are matched by.
    pub key: Vec<String>,
    /// When its time to live ends.
    pub expires: Option<i64>,
    /// Whether a write that keeps rows sets that time too.
    pub renew: bool,
}

/// Rows on their way into a table.
pub(super) struct Rows<'a> {
    pub(super) name: &'a Name,
    /// What stands after FROM for them.
    pub(super) from: &'a str,
    /// Their bytes in memory, where they were there already.
    pub(super) known: Option<usize>,
    pub(super) mode: Mode,
    pub(super) spec: &'a Spec,
    pub(super) now: i64,
}

/// Attempts at a write that meets a statement of the user's.
const ATTEMPTS: usize = 5;

impl Tables {
    /// Writes a table. Gives how many rows came.
    ///
    /// # Errors
    /// `Query`: a value or a column does not fit. `TooLarge`: the table alone is over the bound of size; nothing changed.
    /// `Transaction`: a statement of the user's writes the same table. `Interrupted`, `ReadOnly`, `StorageFull`
    pub fn write(&self, name: &Name, source: Source, mode: Mode, spec: &Spec, now: i64) -> Result<u64> {
        if name.schema.eq_ignore_ascii_case("__tierce") {
            return Err(Error::new(
                Kind::Invalid,
                "The schema __tierce is this library's: choose another name.",
            ));
        }
        if name.table.get(..STAGE.len()).is_some_and(|start| start.eq_ignore_ascii_case(STAGE)) {
            let text = format!(
                "Names that begin with {STAGE} are those of tables that this library writes: choose another name."
            );
            return Err(Error::new(Kind::Invalid, text));
        }
        let written = self.alone(|| {
            let connection = self.connection();
            // What comes from memory or a query is read once: a second attempt needs it again.
            let plain = mode == Mode::Replace && spec.columns.is_empty() && spec.key.is_empty();
            let known = source.bytes();
            let rows = source.with(connection, |from| {
                let put = |from: &str| self.put(&Rows { name, from, known, mode, spec, now });
                if plain { put(from) } else { staged(connection, from, put) }
            })?;
            self.shrink(name, now)?;
            Ok(rows)
        });
        written.map_err(|error| too_large_for_memory(name, error))
    }

    fn put(&self, rows: &Rows<'_>) -> Result<u64> {
        let &Rows { name, from, mode, spec, now, .. } = rows;
        match (mode, self.options.max_size) {
            (Mode::Replace, Some(max)) => return self.replace_within(max, rows),
            (_, Some(max)) => self.check_room(max, rows)?,
            _ => {}
        }
        self.transaction(now, |transaction| {
            let expires = match mode {
                Mode::Replace => spec.expires,
                _ => expires(transaction, name, spec)?,
            };
            let count = match mode {
                Mode::Replace => replace(transaction, name, from, spec)?,
                _ => add(transaction, name, from, mode, spec)?,
            };
            catalog::written(transaction, name, expires, now)?;
            Ok(count)
        })
    }

    pub(super) fn transaction<T>(&self, now: i64, work: impl Fn(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            let outcome = self.connection.transaction(|transaction| {
                catalog::remove_expired(transaction, now)?;
                work(transaction)
            });
            match outcome {
                Err(error) if error.kind() == Kind::Transaction && left > 0 => {}
                outcome => return outcome,
            }
        }
    }
}

fn too_large_for_memory(name: &Name, error: Error) -> Error {
    if error.kind() != Kind::OutOfMemory {
        return error;
    }
    let text = format!(
        "The rows for the table {name} do not fit into memory, and nothing changed: give them in several parts (append), or a larger memoryLimit."
    );
    Error::new(Kind::TooLarge, text).because(error)
}

/// A table that keeps rows keeps its time to live, unless it is given another one.
fn expires(connection: &Connection, name: &Name, spec: &Spec) -> Result<Option<i64>> {
    if spec.renew || !catalog::is_known(connection, name)? {
        return Ok(spec.expires);
    }
    catalog::expires(connection, name)
}

pub(super) fn replace(transaction: &Transaction<'_>, name: &Name, from: &str, spec: &Spec) -> Result<u64> {
    let table = name.sql()?;
    transaction.run(&format!("CREATE SCHEMA IF NOT EXISTS {}", identifier(&name.schema)?))?;
    if spec.columns.is_empty() && spec.key.is_empty() {
        // In one statement: DuckDB writes it with all threads.
        let rows = transaction.query(&format!("CREATE OR REPLACE TABLE {table} AS FROM {from}"), None)?;
        return count(transaction, &table).map(|count| count.max(rows.changed));
    }
    let given = columns_of(transaction, from)?;
    define(transaction, &table, &given, spec)?;
    let target = catalog::columns(transaction, name)?;
    let list = select(&given, &target)?;
    transaction.run(&format!("INSERT INTO {table} BY NAME SELECT {list} FROM {from}"))
}

pub(super) fn count(connection: &Connection, table: &str) -> Result<u64> {
    use arrow_array::cast::AsArray as _;
    let result = connection.query(&format!("SELECT count(*) FROM {table}"), None)?;
    Ok(result.batches.first().map_or(0, |batch| {
        batch.column(0).as_primitive::<arrow_array::types::Int64Type>().value(0).unsigned_abs()
    }))
}

fn define(connection: &Connection, table: &str, given: &[Column], spec: &Spec) -> Result<()> {
    let told = |name: &str| spec.columns.iter().find(|column| column.name == name);
    let mut lines = Vec::new();
    for column in given.iter().filter(|column| told(&column.name).is_none()).chain(&spec.columns) {
        lines.push(format!("{} {}", identifier(&column.name)?, column.kind));
    }
    if !spec.key.is_empty() {
        lines.push(format!("PRIMARY KEY ({})", names(&spec.key)?));
    }
    connection.run(&format!("CREATE OR REPLACE TABLE {table} ({})", lines.join(", "))).map(drop)
}

pub(super) fn names(columns: &[String]) -> Result<String> {
    Ok(columns.iter().map(|name| identifier(name)).collect::<Result<Vec<_>>>()?.join(", "))
}

/// The columns of what stands after FROM. It is not read for that.
fn columns_of(connection: &Connection, from: &str) -> Result<Vec<Column>> {
    use arrow_array::cast::AsArray as _;
    let result =
        connection.query(&format!("SELECT column_name, column_type FROM (DESCRIBE FROM {from})"), None)?;
    let mut columns = Vec::new();
    for batch in &result.batches {
        let (names, kinds) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
        columns.extend((0..batch.num_rows()).map(|at| {
            // A column of nulls alone has no type of its own.
            let kind = if kinds.value(at) == "\"NULL\"" { "INTEGER" } else { kinds.value(at) };
            Column { name: names.value(at).into(), kind: kind.into(), nullable: true }
        }));
    }
    Ok(columns)
}

/// The columns for a table that has types: fractions are refused by columns of whole numbers, which would round them.
fn select(given: &[Column], target: &[Column]) -> Result<String> {
    let mut list = Vec::new();
    for column in given {
        let name = identifier(&column.name)?;
        let wanted = target.iter().find(|each| each.name.eq_ignore_ascii_case(&column.name));
        let rounds = wanted.is_some_and(|wanted| is_whole(&wanted.kind))
            && matches!(column.kind.as_str(), "DOUBLE" | "FLOAT");
        list.push(if let (true, Some(wanted)) = (rounds, wanted) {
            let text = literal(&format!("the column {} holds whole numbers, and got ", column.name))?;
            format!("CASE WHEN {name} IS NULL OR {name} = trunc({name}) THEN {name}::{} ELSE error({text} || {name}) END AS {name}", wanted.kind)
        } else {
            name
        });
    }
    Ok(list.join(", "))
}

fn is_whole(kind: &str) -> bool {
    kind.trim_start_matches('U').ends_with("INT") || kind == "INTEGER" || kind == "UINTEGER"
}

/// Runs `work` with the rows in a temporary table: they can be read again, and keep their order.
fn staged<T>(connection: &Connection, from: &str, work: impl FnOnce(&str) -> Result<T>) -> Result<T> {
    const STAGE: &str = "temp.__tierce_stage";
    connection.run(&format!("CREATE OR REPLACE TEMP TABLE __tierce_stage AS FROM {from}"))?;
    let outcome = work(STAGE);
    let _ = connection.run(&format!("DROP TABLE IF EXISTS {STAGE}"));
    outcome
}

fn add(transaction: &Transaction<'_>, name: &Name, from: &str, mode: Mode, spec: &Spec) -> Result<u64> {
    if !catalog::exists(transaction, name)? {
        return match mode {
            Mode::Upsert => {
                let key = key_of(transaction, name, spec)?;
                replace(transaction, name, &unique(from, &key)?, spec)
            }
            _ => replace(transaction, name, from, spec),
        };
    }
    let given = columns_of(transaction, from)?;
    let target = catalog::columns(transaction, name)?;
    if let Some(column) =
        given.iter().find(|column| !target.iter().any(|each| each.name.eq_ignore_ascii_case(&column.name)))
    {
        let has: Vec<_> = target.iter().map(|column| column.name.as_str()).collect();
        let text = format!(
            "The table {name} has no column {:?}: it has {}. Update the table to change its columns.",
            column.name,
            has.join(", ")
        );
        return Err(Error::new(Kind::Query, text).with("column", &column.name));
    }
    let (table, list) = (name.sql()?, select(&given, &target)?);
    if mode == Mode::Append {
        return transaction.run(&format!("INSERT INTO {table} BY NAME SELECT {list} FROM {from}"));
    }
    let key = key_of(transaction, name, spec)?;
    merge(transaction, &table, &unique(from, &key)?, &list, &given, &key)
}

pub(super) fn key_of(connection: &Connection, name: &Name, spec: &Spec) -> Result<Vec<String>> {
    let key = if spec.key.is_empty() { catalog::primary_key(connection, name)? } else { spec.key.clone() };
    if key.is_empty() {
        let text =
            format!("The table {name} has no primary key: say by which columns rows are matched (key).");
        return Err(Error::new(Kind::Invalid, text));
    }
    Ok(key)
}

/// The last row of each key.
fn unique(from: &str, key: &[String]) -> Result<String> {
    let key = names(key)?;
    Ok(format!(
        "(SELECT * FROM {from} QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY rowid DESC) = 1)"
    ))
}

fn merge(
    transaction: &Transaction<'_>,
    table: &str,
    from: &str,
    list: &str,
    given: &[Column],
    key: &[String],
) -> Result<u64> {
    let is_key = |column: &&Column| key.iter().any(|name| name.eq_ignore_ascii_case(&column.name));
    if given.iter().filter(is_key).count() != key.len() {
        return Err(Error::new(
            Kind::Query,
            format!("The rows lack a column of the key: {}.", key.join(", ")),
        ));
    }
    let quoted = key.iter().map(|name| identifier(name)).collect::<Result<Vec<_>>>()?;
    let nulls: Vec<_> = quoted.iter().map(|name| format!("{name} IS NULL")).collect();
    if transaction.query(&format!("SELECT 1 FROM {from} WHERE {} LIMIT 1", nulls.join(" OR ")), None)?.rows()
        > 0
    {
        return Err(Error::new(Kind::Query, format!("A row has null in its key: {}.", key.join(", "))));
    }
    let matched: Vec<_> = quoted.iter().map(|name| format!("t.{name} = s.{name}")).collect();
    let mut sets = Vec::new();
    for column in given.iter().filter(|column| !is_key(column)) {
        let name = identifier(&column.name)?;
        sets.push(format!("{name} = s.{name}"));
    }
    let update = if sets.is_empty() {
        String::new()
    } else {
        format!("WHEN MATCHED THEN UPDATE SET {}", sets.join(", "))
    };
    let mut columns = Vec::new();
    for column in given {
        columns.push(identifier(&column.name)?);
    }
    let values: Vec<_> = columns.iter().map(|name| format!("s.{name}")).collect();
    transaction.run(&format!(
        "MERGE INTO {table} t USING (SELECT {list} FROM {from}) s ON ({}) {update}
         WHEN NOT MATCHED THEN INSERT ({}) VALUES ({})",
        matched.join(" AND "),
        columns.join(", "),
        values.join(", ")
    ))
}
