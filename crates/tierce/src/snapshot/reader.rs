//! Reads a snapshot, and takes memory for what it has read, never for what a length announces.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::{
    BLOCK, ENCRYPTED, ENCRYPTION, END, ENTRY, FIELD, HEADER, MAGIC, Record, SORT, VERSION, checksum, place,
};
use crate::cipher::{CHECK, Cipher, EncryptionKey, Place, SALT, sealed_len};
use crate::error::{Code, Error, Result};

/// Reads a snapshot, entry by entry, and checks all of it on the way.
pub struct SnapshotReader<R: Read> {
    input: R,
    path: PathBuf,
    seed: u64,
    saved_at: u64,
    blocks: u64,
    block: Vec<u8>,
    at: usize,
    entries: u64,
    ended: bool,
    cipher: Option<Cipher>,
}

impl<R: Read> SnapshotReader<R> {
    /// Reads the header. `path` is for messages; `key` is for a file that is encrypted, and not asked for otherwise.
    ///
    /// # Errors
    /// [`Code::Format`] for a file of something else, or of a newer release; [`Code::Corrupt`] for a damaged one;
    /// [`Code::Encryption`] for one that is encrypted with another key.
    pub fn new(mut input: R, path: &Path, key: Option<&EncryptionKey>) -> Result<Self> {
        let mut header = [0; HEADER];
        let shown = path.display();
        let foreign = |why: &str| Error::new(Code::Format, format!("cannot load {shown}: {why}")).at(path);
        match input.read_exact(&mut header) {
            Err(why) if why.kind() == ErrorKind::UnexpectedEof && header[..8] != MAGIC => {
                return Err(foreign("it was not saved by a cache of tierce"));
            }
            Err(why) if why.kind() == ErrorKind::UnexpectedEof => return Err(damaged(path, "it is cut")),
            outcome => outcome.map_err(|why| Error::io("read", path, why))?,
        }
        if header[..8] != MAGIC {
            return Err(foreign("it was not saved by a cache of tierce"));
        }
        let seed = xxh3_64(&header[..20]);
        if header[20..] != seed.to_le_bytes() {
            return Err(damaged(path, "the checksum of its header differs"));
        }
        let version = u16::from_le_bytes([header[8], header[9]]);
        let flags = u16::from_le_bytes([header[10], header[11]]);
        if version != VERSION || flags > ENCRYPTED {
            return Err(foreign(&format!(
                "its format is {version}, and this release reads {VERSION}: load it with a newer release"
            )));
        }
        let cipher = match flags {
            ENCRYPTED => Some(encryption(&mut input, path, seed, key)?),
            _ => None,
        };
        let mut saved_at = [0; 8];
        saved_at.copy_from_slice(&header[12..20]);
        Ok(Self {
            input,
            path: path.to_owned(),
            seed,
            saved_at: u64::from_le_bytes(saved_at),
            blocks: 0,
            block: Vec::new(),
            at: 0,
            entries: 0,
            ended: false,
            cipher,
        })
    }

    /// When it was saved, in milliseconds since the Unix epoch.
    pub fn saved_at(&self) -> u64 {
        self.saved_at
    }

    /// The next entry; `None` at the end, and then the file is as it was written.
    ///
    /// # Errors
    /// [`Code::Corrupt`] for a damaged file; [`Code::Unavailable`] when the disk fails.
    #[expect(clippy::should_implement_trait, reason = "it can fail")]
    pub fn next(&mut self) -> Result<Option<Record>> {
        if self.ended {
            return Ok(None);
        }
        match self.byte()? {
            ENTRY => {}
            END => return self.end().map(|()| None),
            _ => return Err(self.damaged("an entry does not start where one should")),
        }
        let mut record = Record::default();
        loop {
            let length = u64::from(self.byte()?);
            if length == 0 {
                break;
            }
            let name =
                String::from_utf8(self.bytes(length)?).map_err(|_| self.damaged("a field has no name"))?;
            let length = self.number()?;
            if length > FIELD && name != "value" {
                return Err(self.damaged("a field is too long"));
            }
            let value = self.bytes(length)?;
            record.set(&name, value).map_err(|why| self.damaged(why))?;
        }
        self.entries += 1;
        Ok(Some(record))
    }

    fn end(&mut self) -> Result<()> {
        if self.number()? != self.entries || self.at != self.block.len() {
            return Err(self.damaged("it has not as many entries as it should"));
        }
        let read = self.input.read(&mut [0]).map_err(|why| Error::io("read", &self.path, why))?;
        if read != 0 {
            return Err(self.damaged("something follows its end"));
        }
        self.ended = true;
        Ok(())
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.bytes(1)?[0])
    }

    fn number(&mut self) -> Result<u64> {
        let mut number = [0; 8];
        number.copy_from_slice(&self.bytes(8)?);
        Ok(u64::from_le_bytes(number))
    }

    /// The next bytes of the stream. Memory grows with what is there, block by block.
    fn bytes(&mut self, length: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < length {
            if self.at == self.block.len() {
                self.next_block()?;
            }
            let rest = &self.block[self.at..];
            let now = rest.len().min((length - bytes.len() as u64).try_into().unwrap_or(usize::MAX));
            bytes.try_reserve(now).map_err(|why| {
                let message = format!("no memory for an entry of {}", self.path.display());
                Error::new(Code::ValueTooLarge, message).at(&self.path).because(why)
            })?;
            bytes.extend_from_slice(&rest[..now]);
            self.at += now;
        }
        Ok(bytes)
    }

    fn next_block(&mut self) -> Result<()> {
        let mut head = [0; 12];
        self.fill(&mut head)?;
        let mut words = [[0; 4], [0; 4], [0; 4]];
        words.iter_mut().zip(head.chunks_exact(4)).for_each(|(word, bytes)| word.copy_from_slice(bytes));
        let [length, low, high] = words.map(u32::from_le_bytes);
        let most = if self.cipher.is_some() { sealed_len(BLOCK as u64) } else { BLOCK as u64 };
        if length == 0 || u64::from(length) > most {
            return Err(self.damaged("a block has no possible length"));
        }
        let mut block = std::mem::take(&mut self.block);
        block.clear();
        let read = (&mut self.input).take(u64::from(length)).read_to_end(&mut block);
        read.map_err(|why| Error::io("read", &self.path, why))?;
        self.block = block;
        self.at = 0;
        if self.block.len() != length as usize {
            return Err(self.damaged("it is cut"));
        }
        if checksum(self.seed, self.blocks, &self.block) != u64::from(low) | u64::from(high) << 32 {
            return Err(self.damaged("a checksum differs"));
        }
        if let Some(cipher) = &self.cipher {
            let opened = cipher.open(Place { sort: SORT, of: &place(self.seed, self.blocks) }, &self.block);
            self.block = opened.map_err(|why| self.damaged(&why.to_string()))?;
        }
        self.blocks += 1;
        Ok(())
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        match self.input.read_exact(bytes) {
            Err(why) if why.kind() == ErrorKind::UnexpectedEof => Err(self.damaged("it is cut")),
            outcome => outcome.map_err(|why| Error::io("read", &self.path, why)),
        }
    }

    fn damaged(&self, why: &str) -> Error {
        damaged(&self.path, why)
    }
}

/// What follows the header of an encrypted file.
fn encryption(input: &mut impl Read, path: &Path, seed: u64, key: Option<&EncryptionKey>) -> Result<Cipher> {
    let mut bytes = [0; ENCRYPTION];
    match input.read_exact(&mut bytes) {
        Err(why) if why.kind() == ErrorKind::UnexpectedEof => return Err(damaged(path, "it is cut")),
        read => read.map_err(|why| Error::io("read", path, why))?,
    }
    if bytes[SALT + CHECK..] != xxh3_64_with_seed(&bytes[..SALT + CHECK], seed).to_le_bytes() {
        return Err(damaged(path, "the checksum of its encryption differs"));
    }
    let mut salt = [0; SALT];
    salt.copy_from_slice(&bytes[..SALT]);
    let refused = |why| {
        let message = format!("cannot load {}: it is encrypted {why}", path.display());
        Error::new(Code::Encryption, message).at(path)
    };
    let key = key.ok_or_else(|| refused("and no key was given: give the one of the cache that saved it"))?;
    let cipher = Cipher::new(key, &salt);
    if cipher.check()[..] != bytes[SALT..SALT + CHECK] {
        return Err(refused("with another key: give the one of the cache that saved it"));
    }
    Ok(cipher)
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::new(Code::Corrupt, format!("cannot load {}: it is damaged: {why}", path.display())).at(path)
}
