//! Values that come and go as streams: a chunk is in memory at a time, on both ways.
//!
//! A stream on its way in is a value file like any other: announced before it is created, adopted by the transaction
//! of its row. Until then it is nobody's, and whoever is killed on the way leaves it to the next open.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use super::Wait;
use super::chunked::{Growth, Source, verify_payload};
use super::durability::Durability;
use super::engine::Engine;
use super::extras::Extras;
use super::get::LOOKS;
use super::read::{Lookup, Meta};
use super::ready::Times;
use super::row::{Freshness, weight};
use super::transact::Alone;
use super::write::{SetWrite, Write, Written};
use crate::Cache;
use crate::codec::chunks::{CHUNK, fill};
use crate::codec::{CHUNKS, CodecChoice};
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

impl StreamOptions {
    /// Stores a value that is here as a whole.
    pub(super) fn set<'a>(self, key: &Key<'a>, value: &'a [u8]) -> Write<'a> {
        let Self { kind, expires_at, freshness, codec, extras } = self;
        let plain = SetWrite::new(key.clone(), value);
        Write::Set(SetWrite { kind, expires_at, freshness, codec, extras, ..plain })
    }
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
        let header = reader.source.header();
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
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        fill(self, bytes, CHUNK, |writer| &mut writer.chunk, Self::write_chunk)
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
        let _shared = self.engine.reserve.share();
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
        let write = std::mem::take(&mut self.options).set(&self.key, &self.chunk);
        let written = self.engine.apply(&[write], Wait::Yes)?;
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
