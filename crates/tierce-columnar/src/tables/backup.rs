//! Backups: a database of one moment, in a file that is there as a whole or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray as _;

use super::Tables;
use crate::duck::{Connection, identifier, literal, remove_spilled};
use crate::{Error, Kind, Result};

/// The name of a backup in its folder.
pub const BACKUP: &str = "tierce-tables.backup.duckdb";

fn text_of(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        Error::new(Kind::Invalid, format!("The path {} is not UTF-8: choose another one.", path.display()))
    })
}

/// Runs `work` with a database attached under a name.
fn attached<T>(
    connection: &Connection,
    path: &Path,
    name: &str,
    options: &str,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    connection.run(&format!("ATTACH {} AS {name}{options}", literal(text_of(path)?)?))?;
    let outcome = work();
    let detached = connection.run(&format!("DETACH {name}"));
    outcome.and_then(|value| detached.map(|_| value))
}

fn current(connection: &Connection) -> Result<String> {
    let result = connection.query("SELECT current_database()", None)?;
    let batch =
        result.batches.first().ok_or_else(|| Error::new(Kind::Internal, "A database has no name."))?;
    identifier(batch.column(0).as_string::<i32>().value(0))
}

fn sync(path: &Path) -> Result<()> {
    // Windows syncs no file that is open for reading only; a folder it does not even open.
    let folder = path.is_dir();
    if folder && cfg!(windows) {
        return Ok(());
    }
    let opened = fs::File::options().read(folder).write(!folder).open(path);
    opened.and_then(|file| file.sync_all()).map_err(|error| Error::io("write", path, error))
}

/// What follows the name of a backup while it is made. With `.tmp` it would be the folder into which a reader of the backup spills.
const UNFINISHED: &str = ".new";

/// Leftovers of backups that were killed.
fn leftovers(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let ours = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let rest = name.strip_prefix(BACKUP).unwrap_or_default();
        // Older releases had `.tmp` there.
        (rest.starts_with(UNFINISHED) || rest.starts_with(".tmp")) && path.is_file()
    };
    entries.flatten().map(|entry| entry.path()).filter(ours).collect()
}

impl Tables {
    /// Copies the database as it is at one moment into a folder, in the place of an older backup there. Readers and writers
    /// of this process go on. Gives its bytes.
    ///
    /// # Errors
    /// `StorageFull`, `ReadOnly`, `Unavailable`: what the disk says; the older backup stays
    pub fn backup(&self, dir: &Path) -> Result<u64> {
        fs::create_dir_all(dir).map_err(|error| Error::io("make the folder", dir, error))?;
        self.flush()?;
        self.alone(|| {
            for path in leftovers(dir) {
                let _ = fs::remove_file(path);
            }
            let temporary = dir.join(format!("{BACKUP}{UNFINISHED}"));
            let connection = self.connection();
            attached(connection, &temporary, "__tierce_backup", "", || {
                connection
                    .run(&format!("COPY FROM DATABASE {} TO __tierce_backup", current(connection)?))
                    .map(drop)
            })?;
            sync(&temporary)?;
            let target = dir.join(BACKUP);
            fs::rename(&temporary, &target).map_err(|error| Error::io("replace", &target, error))?;
            sync(dir)?;
            let found = fs::metadata(&target).map_err(|error| Error::io("read", &target, error))?;
            Ok(found.len())
        })
    }

    /// Makes the database what a backup says, in one transaction: readers see the old or the new state.
    ///
    /// # Errors
    /// `Unavailable`: there is no backup. `Corrupt`, `Format`: it is damaged, or of a newer release; nothing changed
    pub fn restore(&self, dir: &Path) -> Result<()> {
        let source = dir.join(BACKUP);
        if !source.is_file() {
            let shown = dir.display();
            return Err(
                Error::new(Kind::Unavailable, format!("There is no backup in {shown}.")).with("path", shown)
            );
        }
        self.alone(|| {
            let connection = self.connection();
            attached(connection, &source, "__tierce_restore", " (READ_ONLY)", || {
                connection.transaction(|transaction| {
                    let own = current(transaction)?;
                    for schema in schemas(transaction)? {
                        transaction.run(&format!("DROP SCHEMA {own}.{} CASCADE", identifier(&schema)?))?;
                    }
                    for (kind, name) in of_main(transaction)? {
                        transaction.run(&format!(
                            "DROP {kind} IF EXISTS {own}.main.{} CASCADE",
                            identifier(&name)?
                        ))?;
                    }
                    transaction.run(&format!("COPY FROM DATABASE __tierce_restore TO {own}")).map(drop)
                })
            })
        })
    }
}

fn texts(connection: &Connection, sql: &str) -> Result<Vec<Vec<String>>> {
    let result = connection.query(sql, None)?;
    let mut rows = Vec::new();
    for batch in &result.batches {
        for at in 0..batch.num_rows() {
            rows.push(
                batch.columns().iter().map(|column| column.as_string::<i32>().value(at).to_owned()).collect(),
            );
        }
    }
    Ok(rows)
}

fn schemas(connection: &Connection) -> Result<Vec<String>> {
    let sql = "SELECT schema_name FROM duckdb_schemas() WHERE database_name = current_database() AND NOT internal AND schema_name <> 'main'";
    Ok(texts(connection, sql)?.into_iter().flatten().collect())
}

/// Tables and views of the schema that cannot be dropped.
fn of_main(connection: &Connection) -> Result<Vec<(String, String)>> {
    let sql = "SELECT 'VIEW', view_name FROM duckdb_views() WHERE database_name = current_database() AND schema_name = 'main' AND NOT internal
        UNION ALL SELECT 'TABLE', table_name FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = 'main' AND NOT internal";
    let pair = |row: Vec<String>| {
        let mut row = row.into_iter();
        Some((row.next()?, row.next()?))
    };
    Ok(texts(connection, sql)?.into_iter().filter_map(pair).collect())
}

/// Removes the backup in a folder, and nothing else; the folder too, where that leaves it empty. Gives whether there was one.
///
/// # Errors
/// What the disk says
pub fn erase_backup(dir: &Path) -> Result<bool> {
    let target = dir.join(BACKUP);
    let existed = target.is_file();
    for path in leftovers(dir).into_iter().chain(existed.then_some(target)) {
        fs::remove_file(&path).map_err(|error| Error::io("remove", &path, error))?;
    }
    if existed {
        remove_spilled(&dir.join(BACKUP));
        let _ = fs::remove_dir(dir); // it has other files
    }
    Ok(existed)
}
