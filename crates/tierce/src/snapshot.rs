//! A whole cache in one file (`docs/on-disk-format.md`, "Snapshot file").
//!
//! Entries follow each other as one stream of named fields, and the stream is cut into blocks with a checksum each. A
//! block's checksum covers its number and the header, and the stream ends with the count of its entries: so what is
//! cut, swapped, repeated or added is noticed. A reader takes memory for what it has read, never for what a length
//! announces.

use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::cipher::{CHECK, Cipher, EncryptionKey, Place, SALT, fill_random, sealed_len};
use crate::codec;
use crate::disk::{Extras, Freshness};
use crate::error::{Code, Error, Result};

const MAGIC: [u8; 8] = *b"TRCESNAP";
const VERSION: u16 = 1;
/// Bytes of the header: magic, version, flags, time, checksum.
const HEADER: usize = 28;
/// The most bytes of a block.
const BLOCK: usize = 1 << 20;
/// The flag of an encrypted file, and what follows its header: salt, check value and their checksum.
const ENCRYPTED: u16 = 1;
const ENCRYPTION: usize = SALT + CHECK + 8;
/// The sort of encrypted bytes that a block is.
const SORT: u8 = 3;
/// Before each entry, and before the count that ends the stream.
const ENTRY: u8 = 1;
const END: u8 = 0;
/// The most bytes of a field that is not the value.
const FIELD: u64 = 16 << 20;

/// An entry as it is stored, apart from any directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The stored key.
    pub key: Vec<u8>,
    /// What the value is.
    pub kind: u8,
    /// The codec of the payload.
    pub codec: u8,
    /// Bytes of the value.
    pub size: u64,
    /// Milliseconds since the Unix epoch.
    pub created: u64,
    /// Milliseconds since the Unix epoch; `None` never expires.
    pub expires: Option<u64>,
    /// When it is stale, and what it cost.
    pub freshness: Freshness,
    /// Tick of the last access.
    pub accessed: i64,
    /// Reads.
    pub hits: u64,
    /// The body of what the entry carries beside its value; empty where that is nothing.
    pub extras: Vec<u8>,
    /// The coded value.
    pub payload: Vec<u8>,
    /// Fields of other names, in their order.
    pub fields: Vec<(String, Vec<u8>)>,
}

impl Record {
    /// The value.
    ///
    /// # Errors
    /// [`Code::Corrupt`] when the payload is not what its codec made of a value of this size.
    pub fn decode(&self) -> Result<Vec<u8>> {
        codec::decode_sized(self.codec, self.size, &self.payload)
    }

    fn set(&mut self, name: &str, value: Vec<u8>) -> std::result::Result<(), &'static str> {
        let number =
            || <[u8; 8]>::try_from(&value[..]).map(u64::from_le_bytes).map_err(|_| "a number is cut");
        match name {
            "key" => self.key = value,
            "kind" => self.kind = byte(&value)?,
            "codec" => self.codec = byte(&value)?,
            "size" => self.size = number()?,
            "created" => self.created = number()?,
            "expires" => self.expires = Some(number()?),
            "accessed" => self.accessed = number()? as i64,
            "fresh" => self.freshness.until = Some(number()?),
            "cost" => self.freshness.cost = u32::try_from(number()?).unwrap_or(u32::MAX),
            "hits" => self.hits = number()?,
            "extras" => {
                Extras::parse(&value).map_err(|_| "what an entry carries does not parse")?;
                self.extras = value;
            }
            "value" => self.payload = value,
            _ => self.fields.push((name.to_owned(), value)),
        }
        Ok(())
    }
}

fn byte(value: &[u8]) -> std::result::Result<u8, &'static str> {
    match value {
        [byte] => Ok(*byte),
        _ => Err("a byte is not one"),
    }
}

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

fn checksum(seed: u64, number: u64, block: &[u8]) -> u64 {
    xxh3_64_with_seed(block, seed.wrapping_add(number))
}

/// What an encrypted block is bound to.
fn place(seed: u64, number: u64) -> [u8; 16] {
    let mut place = [0; 16];
    place[..8].copy_from_slice(&seed.to_le_bytes());
    place[8..].copy_from_slice(&number.to_le_bytes());
    place
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn records() -> Vec<Record> {
        let record = |key: &str, payload: Vec<u8>| Record {
            key: key.into(),
            kind: 6,
            size: payload.len() as u64,
            created: 5,
            expires: (key == "b").then_some(7),
            freshness: Freshness { until: (key == "b").then_some(6), cost: if key == "b" { 3 } else { 0 } },
            accessed: -3,
            hits: 9,
            payload,
            extras: Extras { tags: vec![key.to_owned().into()], ..Extras::default() }.to_bytes().unwrap(),
            fields: vec![("later".into(), vec![1, 2])],
            codec: 0,
        };
        vec![record("a", vec![]), record("b", vec![7; 3 * BLOCK]), record("c", vec![1, 2, 3])]
    }

    fn written(records: &[Record]) -> Vec<u8> {
        written_with(records, None)
    }

    fn written_with(records: &[Record], key: Option<&EncryptionKey>) -> Vec<u8> {
        let mut writer = SnapshotWriter::new(Vec::new(), Path::new("s"), 42, key).unwrap();
        records.iter().for_each(|record| writer.add(record).unwrap());
        writer.finish().unwrap().0
    }

    fn read(bytes: &[u8]) -> Result<Vec<Record>> {
        read_with(bytes, None)
    }

    fn read_with(bytes: &[u8], key: Option<&EncryptionKey>) -> Result<Vec<Record>> {
        let mut reader = SnapshotReader::new(bytes, Path::new("s"), key)?;
        std::iter::from_fn(|| reader.next().transpose()).collect()
    }

    #[test]
    fn what_is_read_is_what_was_written_unknown_fields_too() {
        assert_eq!(read(&written(&records())).unwrap(), records());
        assert_eq!(read(&written(&[])).unwrap(), []);
    }

    #[test]
    fn an_encrypted_file_opens_with_its_key_alone_and_shows_nothing() {
        let [key, other] = [1, 2].map(|byte| EncryptionKey::from([byte; 32]));
        let bytes = written_with(&records(), Some(&key));
        assert_eq!(read_with(&bytes, Some(&key)).unwrap(), records());
        for wrong in [None, Some(&other)] {
            assert_eq!(read_with(&bytes, wrong).unwrap_err().code(), Code::Encryption);
        }
        assert!(!bytes.windows(7).any(|part| part == b"created" || part == [7; 7]));
        assert_eq!(
            read_with(&written(&records()), Some(&key)).unwrap(),
            records(),
            "a plain one needs no key"
        );
    }

    #[test]
    fn a_file_of_something_else_and_a_newer_one_are_told_apart_from_a_damaged_one() {
        for foreign in [&b""[..], b"{}", b"SQLite format 3\0and so on, for some length"] {
            assert_eq!(read(foreign).unwrap_err().code(), Code::Format);
        }
        let mut newer = written(&records());
        newer[8] = 2;
        let seed = xxh3_64(&newer[..20]).to_le_bytes();
        newer[20..28].copy_from_slice(&seed);
        assert_eq!(read(&newer).unwrap_err().code(), Code::Format);
    }

    #[test]
    fn blocks_that_are_swapped_repeated_cut_or_added_are_noticed() {
        let whole = written(&records());
        let block = |at: usize| HEADER + at * (BLOCK + 12)..HEADER + (at + 1) * (BLOCK + 12);
        let swapped =
            [&whole[..HEADER], &whole[block(1)], &whole[block(0)], &whole[block(2).start..]].concat();
        let repeated = [&whole[..block(1).end], &whole[block(1).start..]].concat();
        let cut = whole[..block(1).end].to_vec();
        let added = [&whole[..], &[0]].concat();
        for damaged in [swapped, repeated, cut, added] {
            assert_eq!(read(&damaged).unwrap_err().code(), Code::Corrupt);
        }
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_noticed(at: prop::sample::Index, mask in 1u8..) {
            let mut bytes = written(&records()[2..]);
            let at = at.index(bytes.len());
            bytes[at] ^= mask;
            prop_assert!(read(&bytes).is_err());
        }

        #[test]
        fn any_changed_byte_of_an_encrypted_file_is_noticed(at: prop::sample::Index, mask in 1u8..) {
            let key = EncryptionKey::from([1; 32]);
            let mut bytes = written_with(&records()[2..], Some(&key));
            let at = at.index(bytes.len());
            bytes[at] ^= mask;
            prop_assert!(read_with(&bytes, Some(&key)).is_err());
        }

        #[test]
        fn any_stream_inside_sound_blocks_ends(stream: Vec<u8>) {
            let _ = read(&mended(&stream));
        }

        #[test]
        fn any_cut_is_noticed(at: prop::sample::Index) {
            let bytes = written(&records()[2..]);
            prop_assert!(read(&bytes[..at.index(bytes.len())]).is_err());
        }
    }
}
