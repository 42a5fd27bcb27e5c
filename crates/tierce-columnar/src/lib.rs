//! Cached tables on DuckDB, and frames as Parquet. Arrow comes in and goes out; nothing here knows of Node.

pub mod arrow;
mod dictionary;
pub mod duck;
mod error;
pub mod frames;
pub mod ipc;
pub mod layout;
pub mod tables;

pub use error::{Error, Kind, Result};
