//! Bytes that are sealed as they come and opened as they are read, a segment in memory at a time.

use std::io::{self, Read};

use super::{Cipher, PREFIX, Place, SEGMENT, TAG, fill_random, nonce, open_to, plain_len, seal_at, tampered};
use crate::codec::chunks::fill;
use crate::error::Result;

/// Bytes that are sealed as they come. A segment waits until it is known whether it is the last.
pub(crate) struct Sealing {
    associated: Vec<u8>,
    prefix: [u8; PREFIX],
    number: u64,
    waiting: Vec<u8>,
}

impl Sealing {
    pub fn new(place: Place<'_>) -> Result<Self> {
        let mut prefix = [0; PREFIX];
        fill_random(&mut prefix)?;
        Ok(Self { associated: place.associated(), prefix, number: 0, waiting: Vec::new() })
    }

    /// Takes bytes, and appends the segments that are known not to be the last.
    pub fn push(&mut self, cipher: &Cipher, plain: &[u8], out: &mut Vec<u8>) -> Result<()> {
        fill(
            self,
            plain,
            SEGMENT,
            |sealing| &mut sealing.waiting,
            |sealing| sealing.segment(cipher, false, out),
        )
    }

    /// Appends the last segment.
    pub fn finish(mut self, cipher: &Cipher, out: &mut Vec<u8>) -> Result<()> {
        self.segment(cipher, true, out)
    }

    fn segment(&mut self, cipher: &Cipher, is_last: bool, out: &mut Vec<u8>) -> Result<()> {
        if self.number == 0 {
            out.extend_from_slice(&self.prefix);
        }
        let from = out.len();
        out.append(&mut self.waiting);
        seal_at(&cipher.bodies, &nonce(&self.prefix, self.number, is_last)?, &self.associated, out, from)?;
        self.number += 1;
        Ok(())
    }
}

/// Sealed bytes that are opened as they are read. A segment that does not verify is [`io::ErrorKind::InvalidData`], and what
/// was read before it was as it was written; only at the end is nothing missing.
pub(crate) struct Opening<R> {
    input: R,
    associated: Vec<u8>,
    prefix: Option<[u8; PREFIX]>,
    number: u64,
    /// Plain bytes that are still to come.
    left: u64,
    segment: Vec<u8>,
    at: usize,
}

impl<R: Read> Opening<R> {
    /// `sealed`: the bytes of all that is sealed.
    pub fn new(input: R, place: Place<'_>, sealed: u64) -> Result<Self> {
        let left = plain_len(sealed).ok_or_else(tampered)?;
        let associated = place.associated();
        Ok(Self { input, associated, prefix: None, number: 0, left, segment: Vec::new(), at: 0 })
    }

    /// Reads plain bytes: none at the end.
    pub fn read(&mut self, cipher: &Cipher, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.segment.len() && (self.left > 0 || self.number == 0) {
            self.next_segment(cipher)?;
        }
        let bytes = out.len().min(self.segment.len() - self.at);
        out[..bytes].copy_from_slice(&self.segment[self.at..self.at + bytes]);
        self.at += bytes;
        Ok(bytes)
    }

    fn next_segment(&mut self, cipher: &Cipher) -> io::Result<()> {
        let prefix = match self.prefix {
            Some(prefix) => prefix,
            None => {
                let mut prefix = [0; PREFIX];
                self.input.read_exact(&mut prefix)?;
                *self.prefix.insert(prefix)
            }
        };
        let length = self.left.min(SEGMENT as u64);
        self.left -= length;
        let mut sealed = vec![0; length as usize + TAG];
        self.input.read_exact(&mut sealed)?;
        self.segment.clear();
        self.at = 0;
        let opened = nonce(&prefix, self.number, self.left == 0)
            .and_then(|nonce| open_to(&cipher.bodies, &nonce, &self.associated, &sealed, &mut self.segment));
        self.number += 1;
        opened.map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))
    }
}
