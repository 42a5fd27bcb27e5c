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

#[cfg(test)]
mod tests {
    use super::super::db::Db;
    use super::*;

    #[test]
    fn what_survives_a_power_cut_is_asked_of_the_disk_itself_also_on_macos() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tierce.db");
        std::fs::write(&path, b"").unwrap();
        for (durability, promised) in [(Durability::Process, 0), (Durability::Power, 1)] {
            let mut db = Db::connect(&path).unwrap();
            db.tune(64, durability).unwrap();
            let asked = ["fullfsync", "checkpoint_fullfsync"]
                .map(|name| db.one(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0)).unwrap());
            assert_eq!(asked, [Some(promised), Some(1)], "{durability:?}");
        }
    }

    #[test]
    fn a_relaxed_and_an_unknown_durability_are_refused_with_what_there_is() {
        assert_eq!("power".parse::<Durability>().unwrap(), Durability::Power);
        assert_eq!("process".parse::<Durability>().unwrap(), Durability::Process);
        for name in ["relaxed", "x"] {
            let refused = name.parse::<Durability>().unwrap_err();
            assert_eq!(refused.code(), Code::InvalidOption);
            assert!(refused.to_string().contains("process"), "{refused}");
        }
    }
}
