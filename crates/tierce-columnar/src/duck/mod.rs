//! DuckDB: one engine a file, connections, and results as Arrow batches.
#![allow(unsafe_code, reason = "DuckDB's C API; every raw handle has one owner, which frees it")]

mod connection;
mod direct;
mod engine;
mod failure;
mod ingest;
mod result;
mod sql;
mod text;
mod value;

/// The release of DuckDB that is linked.
pub fn version() -> String {
    // It gives a static text.
    unsafe { text::copied(libduckdb_sys::duckdb_library_version()) }
}

pub use connection::{Connection, Progress, Transaction};
pub(crate) use engine::remove_spilled;
pub use engine::{Access, Engine, Options};
pub use result::{Batches, QueryResult};
pub use sql::{Name, identifier, literal};
