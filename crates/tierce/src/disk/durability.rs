//! When a write is acknowledged.

use std::str::FromStr;

use crate::error::{Code, Error, Result};

/// How the log is synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// A write is acknowledged when other processes see it: it survives a kill of any process.
    #[default]
    Process,
    /// A write is acknowledged when it survives a power cut. Each commit waits for the disk.
    Power,
}

impl FromStr for Durability {
    type Err = Error;

    /// By its name.
    ///
    /// # Errors
    /// [`Code::InvalidOption`] for any other; `relaxed`, which the Node package has, is not one of the crate's.
    fn from_str(name: &str) -> Result<Self> {
        let why = match name {
            "process" => return Ok(Self::Process),
            "power" => return Ok(Self::Power),
            "relaxed" => {
                "; relaxed is a queue of the Node package's: here, hand sets to a thread, or give many to Cache::apply"
            }
            _ => "",
        };
        let message = format!("durability is {name:?}; accepted are \"process\" and \"power\"{why}");
        Err(Error::new(Code::InvalidOption, message).with("name", "durability"))
    }
}
