//! Values that come and go as streams: a chunk is in memory at a time, on both ways.

use std::io::{Seek as _, SeekFrom};
use std::sync::Arc;

use super::super::blob::verify_rest;
use super::super::chunked::{Growth, Source};
use super::super::ready::Times;
use super::super::stream::StreamOptions;
use super::super::write::{When, Written};
use super::super::{Meta, Wait};
use super::SidecarCache;
use super::folder::Staged;
use super::head::{Head, Opened};
use super::shared::Shared;
use super::write::Entering;
use crate::codec::CHUNKS;
use crate::codec::chunks::{CHUNK, fill};
use crate::error::{Code, Error, Result};
use crate::frame::Header;
use crate::key::Key;

/// A value on its way in. Dropped before [`SidecarCache::finish_stream`], it leaves nothing.
pub struct SidecarWriter {
    shared: Arc<Shared>,
    key: Key<'static>,
    options: StreamOptions,
    /// Bytes of the chunk that is not full yet.
    chunk: Vec<u8>,
    growing: Option<Growing>,
}

/// The file of a value that is longer than a chunk.
struct Growing {
    staged: Staged,
    head: Head,
    /// Bytes that are kept for the head.
    room: usize,
    payload: Growth,
}

/// A value on its way out.
pub struct SidecarReader {
    meta: Meta,
    stamp: u64,
    source: Source,
}

impl SidecarReader {
    /// What is known of the entry.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl SidecarCache {
    /// Begins a value that comes in pieces.
    pub fn write_stream<'a>(&self, key: impl Into<Key<'a>>, options: StreamOptions) -> SidecarWriter {
        let key = Key::from_text(key.into().as_bytes().to_vec());
        SidecarWriter { shared: Arc::clone(&self.shared), key, options, chunk: Vec::new(), growing: None }
    }

    /// Stores what was written.
    ///
    /// # Errors
    /// As [`SidecarCache::set`]; nothing is left then.
    pub fn finish_stream(&self, mut writer: SidecarWriter) -> Result<Written> {
        match writer.growing.take() {
            Some(growing) => writer.commit(growing),
            None => writer.commit_small(self),
        }
    }

    /// Opens a value for reading in pieces. `None` where there is no live entry.
    ///
    /// # Errors
    /// As [`SidecarCache::get`].
    pub fn read_stream<'a>(&self, key: impl Into<Key<'a>>) -> Result<Option<SidecarReader>> {
        let key = key.into();
        let Some(opened) = self.shared.live(&key, false)? else {
            self.count(None);
            return Ok(None);
        };
        let (meta, stamp) = (self.shared.meta(&opened), opened.stamp);
        match self.shared.source(opened, &key) {
            Ok(source) => {
                self.count(Some(meta.id));
                Ok(Some(SidecarReader { meta, stamp, source }))
            }
            Err(fault) if fault.code() == Code::Corrupt => {
                self.shared.lost(meta.id, stamp, fault);
                self.count(None);
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    /// The next piece of a value; `None` at its end, and then all of it was as it was written.
    ///
    /// # Errors
    /// [`Code::Corrupt`] when the rest is damaged: the entry is removed, and the pieces before were sound;
    /// [`Code::Unavailable`] when the disk fails.
    pub fn next_piece(&self, reader: &mut SidecarReader) -> Result<Option<Vec<u8>>> {
        reader.source.next().map_err(|why| {
            let why = why.at(&self.shared.folder.path(reader.meta.id));
            if why.code() == Code::Corrupt {
                self.shared.lost(reader.meta.id, reader.stamp, Error::new(Code::Corrupt, why.to_string()));
            }
            why
        })
    }
}

impl Shared {
    /// How a value is read. What is stored as it is has no checksum of its pieces, so it is verified first.
    fn source(&self, mut opened: Opened, key: &Key<'_>) -> Result<Source> {
        let (keeping, digest) = (self.keeping(), self.digest(key));
        let (header, start) = (opened.head.header, SeekFrom::Start(opened.start));
        if header.codec != CHUNKS && header.codec != 0 {
            let payload = opened.payload()?;
            let plain = keeping.payload(header, digest, &payload)?;
            return header.decode(&plain).map(Source::Whole);
        }
        let path = self.folder.path(digest.id());
        let failed = |why| Error::io("read the entry", &path, why);
        let mut file = opened.file;
        if keeping.verifies_first(header) {
            file.seek(start).map_err(failed)?;
            verify_rest(&mut file, &path, header, digest)?;
        }
        file.seek(start).map_err(failed)?;
        Source::of(keeping, file, header, digest)
    }
}

impl SidecarWriter {
    /// Appends bytes.
    ///
    /// # Errors
    /// [`Code::ValueTooLarge`] as soon as it cannot fit; else as [`SidecarCache::set`]. The writer is of no use then.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        fill(self, bytes, CHUNK, |writer| &mut writer.chunk, Self::write_chunk)
    }

    fn write_chunk(&mut self) -> Result<()> {
        if self.growing.is_none() {
            self.growing = Some(self.begin()?);
        }
        let Some(growing) = &mut self.growing else { return Ok(()) };
        let codec = self.options.codec.unwrap_or(self.shared.codec);
        let bytes = growing.payload.add(self.shared.keeping(), codec, &self.chunk)?;
        self.shared.bound.admit(growing.room as u64 + growing.payload.header.stored_size)?;
        growing.staged.write(&[&bytes])?;
        self.chunk.clear();
        Ok(())
    }

    /// Creates the file, with room for a head whose numbers are not known yet.
    fn begin(&self) -> Result<Growing> {
        let extras = self.options.extras.clone().unwrap_or_default();
        let (keeping, digest) = (self.shared.keeping(), self.shared.digest(&self.key));
        let header = Shared::header(self.options.kind, CHUNKS, 0, &extras);
        let payload = Growth::new(keeping, header, digest)?;
        let times = Times::new(self.options.expires_at, self.options.freshness);
        let head = Head {
            key: keeping.text(&self.key).into_owned(),
            header: Header { raw_size: u64::MAX, stored_size: u64::MAX, ..header },
            created: u64::MAX,
            expires: times.expires,
            freshness: times.freshness,
            extras,
        };
        let longest = head.to_bytes(keeping, digest.id(), 0)?.bytes;
        let mut staged = self.shared.folder.stage()?;
        staged.write(&[&vec![0; longest.len()]])?;
        Ok(Growing { staged, head, room: longest.len(), payload })
    }

    /// A value that never filled a chunk is stored like any other.
    fn commit_small(&mut self, cache: &SidecarCache) -> Result<Written> {
        let write = std::mem::take(&mut self.options).set(&self.key, &self.chunk);
        Ok(cache.apply(&[write], Wait::Yes)?.into_iter().next().unwrap_or_default())
    }

    fn commit(&mut self, growing: Growing) -> Result<Written> {
        self.growing = Some(growing);
        if !self.chunk.is_empty() {
            self.write_chunk()?;
        }
        let Some(Growing { mut staged, head, room, mut payload }) = self.growing.take() else {
            return Ok(Written::default());
        };
        let (keeping, digest) = (self.shared.keeping(), self.shared.digest(&self.key));
        staged.write(&[&payload.end(keeping)?])?;
        let head = Head { header: payload.concluded(), created: self.shared.now(), ..head };
        let bytes = head.to_bytes(keeping, digest.id(), room)?;
        let failed = |why| Error::io("write the file of an entry", staged.path(), why);
        (&staged.file).rewind().map_err(failed)?;
        staged.write(&[&bytes.bytes])?;
        let length = room as u64 + head.header.stored_size;
        let whole = self.shared.folder.finish(staged, self.shared.tick())?;
        let entry = Entering { whole, digest, stamp: bytes.stamp, length };
        let written = self.shared.enter(entry, When::Always)?;
        self.shared.bound.enforce(&self.shared)?;
        Ok(written)
    }
}
