//! What makes a file this cache's database: its schema and its stamps, how it is made and how it is emptied.

use std::path::PathBuf;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB};

use super::error::explain;
use super::{Db, Transaction};
use crate::error::Result;

/// `TRCE`: marks the file as ours in the SQLite header.
pub(crate) const APPLICATION_ID: i32 = 0x5452_4345;
/// Bytes of a database page. Measured: `docs/design-decisions.md`, D15.
pub(in crate::disk) const PAGE_SIZE: u64 = 4096;
/// The schema of format version 1, exactly as SQLite stores it: an open compares it.
pub(in crate::disk) const SCHEMA: [&str; 7] = [
    "CREATE TABLE entries (id INTEGER PRIMARY KEY, seal INTEGER NOT NULL, accessed INTEGER NOT NULL, \
     hits INTEGER NOT NULL, created INTEGER NOT NULL, expires INTEGER, fresh INTEGER, cost INTEGER, \
     size INTEGER NOT NULL, stored INTEGER NOT NULL, entered INTEGER NOT NULL, earlier INTEGER NOT NULL, \
     mark INTEGER NOT NULL, key BLOB NOT NULL, frame BLOB NOT NULL)",
    "CREATE TABLE files (write_id INTEGER PRIMARY KEY, bytes INTEGER NOT NULL, owner INTEGER)",
    "CREATE INDEX files_owner ON files (owner) WHERE owner IS NOT NULL",
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE extras (id INTEGER PRIMARY KEY, seal INTEGER NOT NULL, body BLOB NOT NULL)",
    "CREATE TABLE tags (tag TEXT NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (tag, id)) WITHOUT ROWID",
    "CREATE TABLE declared (table_name TEXT NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL, \
     type TEXT NOT NULL, flags INTEGER NOT NULL, PRIMARY KEY (table_name, position)) WITHOUT ROWID",
];
/// What is not compared: tables of custom metadata with their indexes, which are made from `declared`.
const DECLARED: &str =
    "tbl_name GLOB 'meta_*' AND (type = 'index' OR type = 'table' AND sql GLOB 'CREATE TABLE *')";

/// What only an empty file takes.
pub(in crate::disk) fn settings() -> String {
    format!("PRAGMA page_size = {PAGE_SIZE}; PRAGMA auto_vacuum = INCREMENTAL")
}

/// A value of the header or of the schema, as an open finds it.
pub(in crate::disk) struct Stamp {
    pub application_id: i32,
    pub user_version: i32,
    pub schema: Vec<String>,
    /// Whether the header still asks for the log.
    pub logged: bool,
    /// Whether SQLite takes the file for one that may not be written.
    pub read_only: bool,
}

impl Db {
    /// Makes an empty database: settings that only an empty file takes, then schema, stamps and what `fill` puts
    /// into it in one transaction.
    pub fn create(
        &self,
        user_version: i32,
        generation: i64,
        fill: impl FnOnce(&Transaction<'_>) -> Result<()>,
    ) -> Result<()> {
        self.wrap(self.conn.execute_batch(&settings()))?;
        self.log_writes()?;
        self.run("BEGIN EXCLUSIVE")?;
        let transaction = Transaction::new(self);
        self.wrap(self.conn.execute_batch(&format!(
            "{}; INSERT INTO facts VALUES ('generation', {generation}), ('file_bytes', 0), ('entries', 0), ('counted', 0)",
            SCHEMA.join("; ")
        )))?;
        self.restamp(user_version)?;
        fill(&transaction)?;
        transaction.commit()
    }

    /// Reads what identifies the file.
    pub fn stamp(&self) -> Result<Stamp> {
        let pragma = |name| self.conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0));
        let read = || {
            let mut statement = self.conn.prepare(&format!(
                "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND NOT ({DECLARED}) ORDER BY rowid"
            ))?;
            let schema = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            let mode = self.conn.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0))?;
            Ok(Stamp {
                application_id: pragma("application_id")?,
                user_version: pragma("user_version")?,
                schema,
                logged: mode == "wal",
                read_only: self.conn.is_readonly(MAIN_DB)?,
            })
        };
        self.wrap(read())
    }

    /// A private database on the disk that goes when it is closed, for rows that memory may not hold.
    pub fn scratch() -> Result<Self> {
        let path = PathBuf::from("the temporary folder");
        let open = || {
            let conn = Connection::open("")?; // SQLite's name for it
            conn.execute_batch(
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -8192",
            )?;
            conn.execute_batch(&format!("{}; {}", SCHEMA[0], SCHEMA[4]))?;
            Ok(conn)
        };
        let conn = open().map_err(|why| explain(why, &path))?;
        Ok(Self::new(conn, path))
    }

    /// Turns the log on; it stays on.
    pub fn log_writes(&self) -> Result<()> {
        self.wrap(self.conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())))
    }

    /// Writes the stamps, also again where only they were damaged.
    pub fn restamp(&self, user_version: i32) -> Result<()> {
        let sql = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {user_version}");
        self.wrap(self.conn.execute_batch(&sql))
    }

    /// Empties a damaged database in place, under its own locks, so that other processes see it happen.
    pub fn reset(&self) -> Result<()> {
        self.sums.set(None);
        let flag = |on| self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_RESET_DATABASE, on);
        let empty = || {
            flag(true)?;
            let outcome = self.conn.execute_batch(&format!("{}; VACUUM", settings()));
            flag(false)?;
            outcome
        };
        self.wrap(empty())
    }
}
