//! What holds for every cache on a directory: whether it is encrypted, and whether it has the texts of keys. A directory
//! without such rules is neither the one nor without the other, and has no file of them.
//!
//! The file is made once, in one step and before the database. It is read before anything else is touched, so that a cache
//! that does not fit the directory leaves it as it is. All of it is there twice: one damaged byte must not cost a whole cache.
//! Where there is no database there is no lock to make two files under, and the rules are in the record of the choice.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::keeping::Keeping;
use super::open::Paths;
use super::options::Options;
use super::transfer::AtomicFile;
use crate::cipher::{CHECK, Cipher, SALT, fill_random};
use crate::error::{Code, Error, Result};

const MAGIC: [u8; 8] = *b"TRCERULE";
const VERSION: u8 = 1;
/// Bytes of one copy, and of the two.
const COPY: usize = 72;
pub(super) const BOTH: usize = 2 * COPY;
/// Bits of the flags.
const HASHED_KEYS: u8 = 1;
const ENCRYPTED: u8 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rules {
    stores_keys: bool,
    /// Salt and check value.
    encryption: Option<([u8; SALT], [u8; CHECK])>,
}

/// Without a file.
const NONE: Rules = Rules { stores_keys: true, encryption: None };

impl Rules {
    fn to_bytes(self) -> [u8; COPY] {
        let mut bytes = [0; COPY];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8] = VERSION;
        if !self.stores_keys {
            bytes[9] |= HASHED_KEYS;
        }
        if let Some((salt, check)) = self.encryption {
            bytes[9] |= ENCRYPTED;
            bytes[16..48].copy_from_slice(&salt);
            bytes[48..64].copy_from_slice(&check);
        }
        let checksum = xxh3_64(&bytes[..64]);
        bytes[64..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// `None` for a damaged copy.
    fn parse(bytes: &[u8], path: &Path) -> Option<Result<Self>> {
        let bytes: &[u8; COPY] = bytes.try_into().ok()?;
        if bytes[..8] != MAGIC || bytes[64..] != xxh3_64(&bytes[..64]).to_le_bytes() {
            return None;
        }
        if bytes[8] != VERSION || bytes[9] > HASHED_KEYS | ENCRYPTED {
            let message = format!(
                "{} is of a newer release: update tierce, or give the cache another directory",
                path.display()
            );
            return Some(Err(Error::new(Code::Format, message).at(path)));
        }
        let (mut salt, mut check) = ([0; SALT], [0; CHECK]);
        salt.copy_from_slice(&bytes[16..48]);
        check.copy_from_slice(&bytes[48..64]);
        Some(Ok(Self {
            stores_keys: bytes[9] & HASHED_KEYS == 0,
            encryption: (bytes[9] & ENCRYPTED != 0).then_some((salt, check)),
        }))
    }

    /// The rules of a directory, if it has any.
    fn read(path: &Path) -> Result<Option<Self>> {
        match fs::read(path) {
            Err(why) if why.kind() == ErrorKind::NotFound => Ok(None),
            bytes => Self::parse_both(&bytes.map_err(|why| Error::io("read", path, why))?, path).map(Some),
        }
    }

    fn both(self) -> Vec<u8> {
        self.to_bytes().repeat(2)
    }

    fn parse_both(bytes: &[u8], path: &Path) -> Result<Self> {
        let copies = bytes.chunks(COPY).take(2);
        let known = copies.filter_map(|copy| Self::parse(copy, path)).next();
        known.transpose()?.ok_or_else(|| {
            let message = format!(
                "{} is damaged, and without it nothing in the directory can be read: put it back from a backup, or \
                 remove the directory",
                path.display()
            );
            Error::new(Code::Corrupt, message).at(path)
        })
    }

    fn write(self, path: &Path) -> Result<()> {
        let mut file = AtomicFile::create(path)?;
        file.write_all(&self.both()).map_err(|why| Error::io("write", path, why))?;
        file.commit().map(|_| ())
    }

    fn made_for(options: &Options) -> Result<Self> {
        let mut salt = [0; SALT];
        let encryption = match &options.encryption {
            None => None,
            Some(key) => {
                fill_random(&mut salt)?;
                Some((salt, Cipher::new(key, &salt).check()))
            }
        };
        Ok(Self { stores_keys: options.store_keys, encryption })
    }
}

/// Reads bytes as rules, for the fuzz targets.
#[cfg(fuzzing)]
pub(crate) fn rules_of(bytes: &[u8]) {
    let _ = bytes.chunks(COPY).map(|copy| Rules::parse(copy, Path::new("rules"))).collect::<Vec<_>>();
}

/// How a cache with these options keeps things in a directory; makes the rules of a new one.
///
/// # Errors
/// [`Code::Encryption`], [`Code::InvalidOption`] where the options do not fit the directory, which stays as it is.
pub(super) fn settle(paths: &Paths, options: &Options) -> Result<Keeping> {
    let keeping = |rules| keeping(&paths.dir, options, rules);
    if let Some(rules) = found(paths)? {
        return keeping(rules);
    }
    let wanted = Rules::made_for(options)?;
    if wanted == NONE {
        return keeping(NONE);
    }
    let _lock = paths.lock(options.lock_timeout)?; // held also by who makes a database
    if let Some(rules) = found(paths)? {
        return keeping(rules);
    }
    wanted.write(&paths.rules)?;
    keeping(wanted)
}

/// What the record of a new directory without a database gets: nothing where it needs no rules.
pub(super) fn recorded_for(options: &Options) -> Result<Vec<u8>> {
    let wanted = Rules::made_for(options)?;
    Ok(if wanted == NONE { Vec::new() } else { wanted.both() })
}

/// As [`settle`], of such a directory: from what its record has.
pub(super) fn settle_recorded(dir: &Path, options: &Options, recorded: &[u8]) -> Result<Keeping> {
    let rules = if recorded.is_empty() {
        NONE
    } else {
        Rules::parse_both(recorded, &dir.join(super::metadata::NAME))?
    };
    keeping(dir, options, rules)
}

/// What holds already: where there is a database without rules, that there are none.
fn found(paths: &Paths) -> Result<Option<Rules>> {
    if let Some(rules) = Rules::read(&paths.rules)? {
        return Ok(Some(rules));
    }
    let is_made = fs::metadata(&paths.database).is_ok_and(|file| file.len() > 0);
    Ok(is_made.then_some(NONE))
}

/// Fails where another process made rules since they were looked for: to be asked with the lock held.
pub(super) fn expect_none_new(paths: &Paths, keeping: &Keeping) -> Result<()> {
    if keeping.keys && !keeping.is_encrypted() && Rules::read(&paths.rules)?.is_some() {
        let message =
            format!("another process has just made a cache with other options in {}", paths.dir.display());
        return Err(Error::new(Code::Encryption, message).at(&paths.dir));
    }
    Ok(())
}

fn keeping(dir: &Path, options: &Options, rules: Rules) -> Result<Keeping> {
    let shown = dir.display();
    let refused = |code, message: String, option| Err(Error::new(code, message).with("name", option).at(dir));
    let cipher = match (&options.encryption, rules.encryption) {
        (None, None) => None,
        (None, Some(_)) => {
            let message = format!(
                "{shown} is encrypted, and no key was given: give the key that it was made with in the option encryption"
            );
            return refused(Code::Encryption, message, "encryption");
        }
        (Some(_), None) => {
            let message = format!(
                "{shown} was made without encryption: open it without a key, save it into a file, and load that into a \
                 cache with the key in a new directory"
            );
            return refused(Code::Encryption, message, "encryption");
        }
        (Some(key), Some((salt, check))) => {
            let cipher = Cipher::new(key, &salt);
            if cipher.check() != check {
                let message = format!(
                    "{shown} is encrypted with another key: give the key that it was made with in the option encryption, or \
                     another directory"
                );
                return refused(Code::Encryption, message, "encryption");
            }
            Some(Arc::new(cipher))
        }
    };
    if rules.stores_keys != options.store_keys {
        let has = if rules.stores_keys { "the texts of keys" } else { "hashes of keys alone" };
        let message = format!(
            "{shown} was made to have {has}, and keeps to it: give the option storeKeys (store_keys) as it was given then, or \
             another directory"
        );
        return refused(Code::InvalidOption, message, "storeKeys");
    }
    Ok(Keeping {
        cipher,
        key: options.encryption.clone(),
        keys: rules.stores_keys,
        verifies: options.integrity,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules() -> Rules {
        Rules { stores_keys: false, encryption: Some(([3; SALT], [4; CHECK])) }
    }

    #[test]
    fn one_damaged_copy_costs_nothing_and_two_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rules");
        rules().write(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        assert_eq!(whole.len(), 2 * COPY);
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            fs::write(&path, &bytes).unwrap();
            assert_eq!(Rules::read(&path).unwrap(), Some(rules()));
            bytes[(at + COPY) % (2 * COPY)] ^= 0xff;
            fs::write(&path, &bytes).unwrap();
            assert_eq!(Rules::read(&path).unwrap_err().code(), Code::Corrupt);
        }
        fs::write(&path, b"").unwrap();
        assert_eq!(Rules::read(&path).unwrap_err().code(), Code::Corrupt);
    }

    proptest! {
        #[test]
        fn any_bytes_are_rules_or_refused(bytes: Vec<u8>) {
            let _ = Rules::parse(&bytes, Path::new("rules"));
        }
    }
}
