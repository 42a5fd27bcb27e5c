//! Writes a snapshot.

use std::io::Write;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::{
    BLOCK, ENCRYPTED, ENCRYPTION, END, ENTRY, HEADER, MAGIC, Record, SORT, VERSION, checksum, place,
};
use crate::cipher::{CHECK, Cipher, EncryptionKey, Place, SALT, fill_random};
use crate::error::{Error, Result};

/// Writes a snapshot.
pub struct SnapshotWriter<W: Write> {
    out: W,
    path: PathBuf,
    seed: u64,
    blocks: u64,
    block: Vec<u8>,
    entries: u64,
    cipher: Option<Cipher>,
}

impl<W: Write> SnapshotWriter<W> {
    /// Starts with the header. `path` is for messages, `now` the time in milliseconds since the Unix epoch. With a `key`, all
    /// that follows is encrypted.
    ///
    /// # Errors
    /// As [`SnapshotWriter::add`].
    pub fn new(out: W, path: &Path, now: u64, key: Option<&EncryptionKey>) -> Result<Self> {
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(&MAGIC);
        header[8..10].copy_from_slice(&VERSION.to_le_bytes());
        header[10] = if key.is_some() { ENCRYPTED as u8 } else { 0 };
        header[12..20].copy_from_slice(&now.to_le_bytes());
        let seed = xxh3_64(&header[..20]);
        header[20..].copy_from_slice(&seed.to_le_bytes());
        let mut writer = Self {
            out,
            path: path.to_owned(),
            seed,
            blocks: 0,
            block: Vec::with_capacity(BLOCK),
            entries: 0,
            cipher: None,
        };
        writer.write(&header)?;
        if let Some(key) = key {
            let (mut encryption, mut salt) = ([0; ENCRYPTION], [0; SALT]);
            fill_random(&mut salt)?;
            let cipher = Cipher::new(key, &salt);
            encryption[..SALT].copy_from_slice(&salt);
            encryption[SALT..SALT + CHECK].copy_from_slice(&cipher.check());
            let checksum = xxh3_64_with_seed(&encryption[..SALT + CHECK], seed);
            encryption[SALT + CHECK..].copy_from_slice(&checksum.to_le_bytes());
            writer.write(&encryption)?;
            writer.cipher = Some(cipher);
        }
        Ok(writer)
    }

    /// Appends an entry.
    ///
    /// # Errors
    /// What the disk says.
    pub fn add(&mut self, record: &Record) -> Result<()> {
        self.push(&[ENTRY])?;
        self.field("key", &record.key)?;
        self.field("kind", &[record.kind])?;
        self.field("codec", &[record.codec])?;
        self.field("size", &record.size.to_le_bytes())?;
        self.field("created", &record.created.to_le_bytes())?;
        if let Some(expires) = record.expires {
            self.field("expires", &expires.to_le_bytes())?;
        }
        if let Some(until) = record.freshness.until {
            self.field("fresh", &until.to_le_bytes())?;
            self.field("cost", &u64::from(record.freshness.cost).to_le_bytes())?;
        }
        self.field("accessed", &record.accessed.to_le_bytes())?;
        self.field("hits", &record.hits.to_le_bytes())?;
        if !record.extras.is_empty() {
            self.field("extras", &record.extras)?;
        }
        for (name, value) in &record.fields {
            self.field(name, value)?;
        }
        self.field("value", &record.payload)?;
        self.push(&[0])?;
        self.entries += 1;
        Ok(())
    }

    /// Ends the snapshot. Gives what was written to, and the count of entries.
    ///
    /// # Errors
    /// As [`SnapshotWriter::add`].
    pub fn finish(mut self) -> Result<(W, u64)> {
        self.push(&[END])?;
        self.push(&self.entries.to_le_bytes())?;
        self.flush()?;
        self.out.flush().map_err(|why| Error::io("write", &self.path, why))?;
        Ok((self.out, self.entries))
    }

    fn field(&mut self, name: &str, value: &[u8]) -> Result<()> {
        debug_assert!(!name.is_empty() && name.len() < 256, "names are short");
        self.push(&[name.len() as u8])?;
        self.push(name.as_bytes())?;
        self.push(&(value.len() as u64).to_le_bytes())?;
        self.push(value)
    }

    fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let room = BLOCK - self.block.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.block.extend_from_slice(now);
            bytes = later;
            if self.block.len() == BLOCK {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = std::mem::take(&mut self.block);
        let mut sealed = Vec::new();
        if let Some(cipher) = &self.cipher {
            cipher.seal(Place { sort: SORT, of: &place(self.seed, self.blocks) }, &block, &mut sealed)?;
        }
        let written = if self.cipher.is_some() { &sealed } else { &block };
        let checksum = checksum(self.seed, self.blocks, written);
        self.write(&(written.len() as u32).to_le_bytes())?;
        self.write(&checksum.to_le_bytes())?;
        self.write(written)?;
        self.blocks += 1;
        self.block = block;
        self.block.clear();
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|why| Error::io("write", &self.path, why))
    }
}

/// A snapshot whose blocks hold these bytes, with sound checksums.
#[cfg(any(test, fuzzing))]
pub(crate) fn mended(stream: &[u8]) -> Vec<u8> {
    let mut writer = match SnapshotWriter::new(Vec::new(), Path::new("mended"), 0, None) {
        Ok(writer) => writer,
        Err(_) => return Vec::new(),
    };
    let pushed = writer.push(stream).and_then(|()| writer.flush());
    pushed.map_or_else(|_| Vec::new(), |()| writer.out)
}
