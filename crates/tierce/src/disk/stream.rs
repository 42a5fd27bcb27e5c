//! Values that come and go as streams: a chunk is in memory at a time, on both ways.
//!
//! A stream on its way in is a value file like any other: announced before it is created, adopted by the transaction
//! of its row. Until then it is nobody's, and whoever is killed on the way leaves it to the next open.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::Wait;
use super::blob::verify_rest;
use super::durability::Durability;
use super::engine::{Alone, Engine};
use super::extras::Extras;
use super::get::LOOKS;
use super::keeping::{Keeping, Payload};
use super::read::{Lookup, Meta};
use super::ready::Times;
use super::row::{Freshness, weight};
use super::write::{SetWrite, Write, Written};
use crate::Cache;
use crate::cipher::{Sealing, plain_len};
use crate::codec::chunks::{CHUNK, CHUNK_HEADER, ChunkHeader, checksum, encode, top_up};
use crate::codec::{self, CHUNKS, CodecChoice};
use crate::error::{Code, Error, Result};
use crate::frame::{FILE_PAYLOAD, HEADER, Header, size_on_disk};
use crate::key::{Digest, Key};

/// What a streamed value gets beside its bytes.
#[derive(Clone, Debug, Default)]
pub struct StreamOptions {
    /// What the value is.
    pub kind: u8,
    /// Milliseconds since the Unix epoch; `None` never expires.
    pub expires_at: Option<u64>,
    /// When it is stale.
    pub freshness: Freshness,
    /// Overrides the cache's codec.
    pub codec: Option<CodecChoice>,
    /// What it carries.
    pub extras: Option<Extras<'static>>,
}

/// A value on its way in. Dropped before [`Cache::finish_stream`], it leaves nothing.
pub struct ValueWriter {
    engine: Arc<Engine>,
    key: Key<'static>,
    options: StreamOptions,
    /// Bytes of the chunk that is not full yet.
    chunk: Vec<u8>,
    file: Option<Growing>,
}

/// The file of a value that is longer than a chunk.
struct Growing {
    file: BufWriter<File>,
    path: PathBuf,
    payload: Growth,
}

/// A payload of chunks that grows: it is coded, encrypted where the directory is, and summed up.
pub(super) struct Growth {
    /// Of all chunks so far.
    pub header: Header,
    seed: u64,
    chunks: u64,
    hasher: Xxh3,
    sealing: Option<Sealing>,
}

impl Growth {
    pub fn new(keeping: &Keeping, header: Header, digest: Digest) -> Result<Self> {
        let header = Header { codec: CHUNKS, encrypted: keeping.is_encrypted(), ..header };
        let seed = header.stream_seed(digest);
        let sealing = keeping.sealing(header, digest)?;
        Ok(Self { header, seed, chunks: 0, hasher: Xxh3::with_seed(seed), sealing })
    }

    /// Takes a chunk; gives what comes next in the file.
    pub fn add(&mut self, keeping: &Keeping, codec: CodecChoice, chunk: &[u8]) -> Result<Vec<u8>> {
        let mut bytes = encode(chunk, codec, self.seed, self.chunks)?;
        self.chunks += 1;
        self.header.raw_size += chunk.len() as u64;
        if let (Some(sealing), Some(cipher)) = (&mut self.sealing, &keeping.cipher) {
            let coded = std::mem::take(&mut bytes);
            sealing.push(cipher, &coded, &mut bytes)?;
        }
        Ok(self.counted(bytes))
    }

    /// What waited to be encrypted, which ends the file.
    pub fn end(&mut self, keeping: &Keeping) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if let (Some(sealing), Some(cipher)) = (self.sealing.take(), &keeping.cipher) {
            sealing.finish(cipher, &mut bytes)?;
        }
        Ok(self.counted(bytes))
    }

    fn counted(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        self.header.stored_size += bytes.len() as u64;
        self.hasher.update(&bytes);
        bytes
    }

    /// The header of all of it.
    pub fn concluded(&self) -> Header {
        self.header.concluded(&self.hasher)
    }
}

impl Cache {
    /// Begins a value that comes in pieces.
    pub fn write_stream<'a>(&self, key: impl Into<Key<'a>>, options: StreamOptions) -> ValueWriter {
        let key = Key::from_text(key.into().as_bytes().to_vec());
        ValueWriter { engine: Arc::clone(&self.engine), key, options, chunk: Vec::new(), file: None }
    }

    /// Stores what was written, in one transaction.
    ///
    /// # Errors
    /// As [`Cache::set`]; nothing is left then.
    pub fn finish_stream(&self, mut writer: ValueWriter) -> Result<Written> {
        let written = match writer.file.take() {
            Some(growing) => writer.commit(growing)?,
            None => writer.commit_small()?,
        };
        self.maintenance.committed(&self.engine);
        Ok(written)
    }

    /// Opens a value for reading in pieces. `None` where there is no live entry.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn read_stream<'a>(&self, key: impl Into<Key<'a>>) -> Result<Option<ValueReader>> {
        let key = Key::from_text(key.into().as_bytes().to_vec());
        for _ in 0..LOOKS {
            let found = self.engine.look(&key, false, |header, _, payload| header.decode(payload))?;
            let (header, meta) = match self.live(found) {
                Lookup::Miss | Lookup::Damaged(..) => break,
                Lookup::Inline(value, meta) => {
                    self.count(Some(&meta));
                    return Ok(Some(ValueReader { meta, key, source: Source::Whole(value) }));
                }
                Lookup::File(header, meta) => (header, meta),
            };
            match self.engine.source(&key, header) {
                Ok(Some(source)) => {
                    self.count(Some(&meta));
                    return Ok(Some(ValueReader { meta, key, source }));
                }
                Ok(None) => {
                    if !self.has(key.clone())? {
                        break;
                    }
                }
                Err(fault) if fault.code() == Code::Corrupt => {
                    self.lost_file(&key, header, fault);
                    break;
                }
                Err(fault) => return Err(fault),
            }
        }
        self.count(None);
        Ok(None)
    }

    /// The next piece of a value; `None` at its end, and then all of it was as it was written.
    ///
    /// # Errors
    /// [`Code::Corrupt`] when the rest is damaged: the entry is removed, and the pieces before were sound;
    /// [`Code::Unavailable`] when the disk fails.
    pub fn next_piece(&self, reader: &mut ValueReader) -> Result<Option<Vec<u8>>> {
        let header = match &reader.source {
            Source::Whole(_) => None,
            Source::Plain(_, header) => Some(*header),
            Source::Chunks(chunks) => Some(chunks.header),
        };
        let piece = reader.source.next();
        let Some(header) = header else { return piece };
        piece.map_err(|why| {
            let path = self.engine.blobs.path(header.write_id);
            let why = why.at(&path);
            if why.code() == Code::Corrupt {
                let fault = Error::new(Code::Corrupt, why.to_string()).at(&path);
                self.lost_file(&reader.key, header, fault);
            }
            why
        })
    }
}

impl ValueWriter {
    /// Appends bytes.
    ///
    /// # Errors
    /// [`Code::ValueTooLarge`] as soon as it cannot fit; else as [`Cache::set`]. The writer is of no use then.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            if self.chunk.len() == CHUNK {
                self.write_chunk()?;
            }
            bytes = top_up(&mut self.chunk, CHUNK, bytes);
        }
        Ok(())
    }

    fn write_chunk(&mut self) -> Result<()> {
        if self.file.is_none() {
            self.file = Some(self.begin()?);
        }
        let Some(growing) = &mut self.file else { return Ok(()) };
        let codec = self.options.codec.unwrap_or(self.engine.codec);
        let bytes = growing.payload.add(&self.engine.keeping, codec, &self.chunk)?;
        let stored = growing.payload.header.stored_size;
        self.engine.bound.admit(weight(self.key.as_bytes().len() as u64 + stored))?;
        growing.write(&bytes)?;
        self.chunk.clear();
        Ok(())
    }

    /// Announces and creates the file.
    fn begin(&self) -> Result<Growing> {
        let header = Header {
            kind: self.options.kind,
            in_file: true,
            has_extras: self.options.extras.as_ref().is_some_and(|extras| !extras.is_empty()),
            ..self.engine.fresh_header()
        };
        let owner = self.engine.owner.id()?;
        self.engine.write(Wait::Yes, |transaction| transaction.announce(header.write_id, 0, owner))?;
        let path = self.engine.blobs.path(header.write_id);
        let mut file = BufWriter::with_capacity(64 * 1024, self.engine.blobs.create(&path)?);
        file.write_all(&[0; FILE_PAYLOAD]).map_err(|why| Error::io("write the value file", &path, why))?;
        let keeping = &self.engine.keeping;
        Ok(Growing { file, path, payload: Growth::new(keeping, header, keeping.digest(&self.key))? })
    }

    /// A value that never filled a chunk is stored like any other.
    fn commit_small(&mut self) -> Result<Written> {
        let StreamOptions { kind, expires_at, freshness, codec, extras } = std::mem::take(&mut self.options);
        let plain = SetWrite::new(self.key.clone(), &self.chunk);
        let write = SetWrite { kind, expires_at, freshness, codec, extras, ..plain };
        let written = self.engine.apply(&[Write::Set(write)], Wait::Yes)?;
        Ok(written.into_iter().next().unwrap_or_default())
    }

    fn commit(&mut self, growing: Growing) -> Result<Written> {
        self.file = Some(growing); // so that a failure removes it
        if !self.chunk.is_empty() {
            self.write_chunk()?;
        }
        let Some(growing) = &mut self.file else { return Ok(Written::default()) };
        let last = growing.payload.end(&self.engine.keeping)?;
        growing.write(&last)?;
        let header = growing.payload.concluded();
        let failed = |why| Error::io("write the value file", &growing.path, why);
        growing.file.flush().map_err(failed)?;
        let file = growing.file.get_mut();
        std::io::Seek::rewind(file).map_err(failed)?;
        file.write_all(&header.to_bytes()).map_err(failed)?;
        if self.engine.durability == Durability::Power {
            file.sync_all().map_err(failed)?;
        }
        let times = Times::new(self.options.expires_at, self.options.freshness);
        let outcome = self.engine.adopt_stream(&self.key, header, times, self.options.extras.as_ref())?;
        self.file = None; // it is an entry's
        Ok(outcome)
    }
}

impl Growing {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|why| Error::io("write the value file", &self.path, why))
    }
}

impl Drop for ValueWriter {
    fn drop(&mut self) {
        if let Some(growing) = self.file.take() {
            let write_id = growing.payload.header.write_id;
            drop(growing); // closed before it is removed
            self.engine.unlink(&[write_id]);
        }
    }
}

/// A value on its way out.
pub struct ValueReader {
    meta: Meta,
    key: Key<'static>,
    source: Source,
}

impl ValueReader {
    /// What is known of the entry.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }
}

pub(super) enum Source {
    /// What is left of a value that was read whole.
    Whole(Vec<u8>),
    /// A file that is the value itself, and was verified.
    Plain(Payload, Header),
    Chunks(Box<Chunks>),
}

impl Source {
    /// A payload of chunks, or one that is stored as it is and was verified, in a file that is open where it starts.
    pub fn of(keeping: &Keeping, file: File, header: Header, digest: Digest) -> Result<Self> {
        let file = keeping.reading(file, header, digest)?;
        if header.codec == 0 {
            return Ok(Self::Plain(file, header));
        }
        let stored = if header.encrypted { plain_len(header.stored_size) } else { Some(header.stored_size) };
        Ok(Self::Chunks(Box::new(Chunks {
            file,
            verifies: keeping.verifies,
            header,
            seed: header.stream_seed(digest),
            number: 0,
            raw_left: header.raw_size,
            stored_left: stored.unwrap_or(0),
        })))
    }

    /// The next piece; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Whole(value) => {
                let rest = value.split_off(value.len().min(CHUNK));
                let piece = std::mem::replace(value, rest);
                Ok(Some(piece).filter(|piece| !piece.is_empty()))
            }
            Self::Plain(file, _) => plain(file),
            Self::Chunks(chunks) => chunks.next(),
        }
    }
}

pub(super) struct Chunks {
    file: Payload,
    verifies: bool,
    header: Header,
    seed: u64,
    number: u64,
    raw_left: u64,
    stored_left: u64,
}

impl Chunks {
    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let damaged = |why: &str| Error::new(Code::Corrupt, format!("a streamed value is damaged: {why}"));
        if self.stored_left == 0 {
            return if self.raw_left == 0 { Ok(None) } else { Err(damaged("it ends early")) };
        }
        let mut head = [0; CHUNK_HEADER];
        self.file.read_exact(&mut head).map_err(unread)?;
        let chunk = ChunkHeader::parse(&head)?;
        let taken = CHUNK_HEADER as u64 + u64::from(chunk.stored);
        self.stored_left = self.stored_left.checked_sub(taken).ok_or_else(|| damaged("a chunk is cut"))?;
        self.raw_left =
            self.raw_left.checked_sub(u64::from(chunk.raw)).ok_or_else(|| damaged("it is too long"))?;
        let mut stored = vec![0; chunk.stored as usize];
        self.file.read_exact(&mut stored).map_err(unread)?;
        if self.verifies && checksum(&stored, self.seed, self.number) != chunk.checksum {
            return Err(damaged("a checksum differs"));
        }
        self.number += 1;
        codec::decode_sized(chunk.codec, chunk.raw.into(), &stored).map(Some)
    }
}

/// What the disk says, or that what was encrypted does not open.
fn unread(why: std::io::Error) -> Error {
    let code = if why.kind() == ErrorKind::InvalidData { Code::Corrupt } else { Code::Unavailable };
    Error::new(code, format!("cannot read a streamed value: {why}")).because(why)
}

/// Reads a payload to its end, in a file that is open where it starts, and verifies all of it.
///
/// # Errors
/// [`Code::Corrupt`] when it is not what was written; what the disk says.
pub(super) fn verify_payload(
    keeping: &Keeping,
    mut file: File,
    path: &Path,
    header: Header,
    digest: Digest,
) -> Result<()> {
    keeping.expect(header)?;
    if !header.encrypted {
        return verify_rest(&mut file, path, header, digest);
    }
    let mut payload = keeping.reading(file, header, digest)?;
    std::io::copy(&mut payload, &mut std::io::sink()).map_err(|why| unread(why).at(path)).map(|_| ())
}

fn plain(file: &mut Payload) -> Result<Option<Vec<u8>>> {
    let mut piece = Vec::with_capacity(CHUNK);
    file.take(CHUNK as u64).read_to_end(&mut piece).map_err(unread)?;
    Ok(Some(piece).filter(|piece| !piece.is_empty()))
}

impl Engine {
    /// How the value in a file is read. `None` where the file is not there.
    fn source(&self, key: &Key<'_>, header: Header) -> Result<Option<Source>> {
        let digest = self.keeping.digest(key);
        if header.codec != CHUNKS && header.codec != 0 {
            return Ok(self.read_file(key, header)?.map(Source::Whole));
        }
        let Some(file) = self.blobs.open(header)? else { return Ok(None) };
        let source = Source::of(&self.keeping, file, header, digest)?;
        let sound = !self.keeping.verifies_first(header) || self.blobs.verify(header, digest)?;
        Ok(sound.then_some(source))
    }

    /// Reads a value's file in pieces, and verifies all of it. False when there is no such file.
    ///
    /// # Errors
    /// [`Code::Corrupt`] when it is not what was written.
    pub(super) fn verify_file(&self, header: Header, digest: Digest) -> Result<bool> {
        let Some(file) = self.blobs.open(header)? else { return Ok(false) };
        verify_payload(&self.keeping, file, &self.blobs.path(header.write_id), header, digest)?;
        Ok(true)
    }

    /// Makes a written and announced file the value of an entry.
    fn adopt_stream(
        &self,
        key: &Key<'static>,
        header: Header,
        times: Times,
        extras: Option<&Extras<'_>>,
    ) -> Result<Written> {
        let bytes = size_on_disk(header.stored_size);
        self.write(Wait::Yes, |transaction| transaction.resize_file(header.write_id, bytes))?;
        let ready = self.streamed(key, header, header.to_bytes()[..HEADER].to_vec(), times, extras)?;
        let mut written = self.commit_ready(&[ready], Wait::Yes, Alone::Yes)?;
        Ok(written.pop().unwrap_or_default())
    }
}
