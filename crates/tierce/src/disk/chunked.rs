//! The payload of a streamed value: coded, encrypted and summed up chunk by chunk on its way in, checked piece by piece on its way
//! out. Both engines have their streams from here.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use super::blob::verify_rest;
use super::keeping::{Keeping, Payload};
use crate::cipher::{Sealing, plain_len};
use crate::codec::chunks::{CHUNK, CHUNK_HEADER, ChunkHeader, checksum, encode};
use crate::codec::{self, CHUNKS, CodecChoice};
use crate::error::{Code, Error, Result};
use crate::frame::Header;
use crate::key::Digest;
use crate::xxh3::Xxh3;

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

    /// That of the file; `None` where no file is open.
    pub fn header(&self) -> Option<Header> {
        match self {
            Self::Whole(_) => None,
            Self::Plain(_, header) => Some(*header),
            Self::Chunks(chunks) => Some(chunks.header),
        }
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
