//! How keys and values are kept in rows and files: as they are, under a hash, or encrypted.
//!
//! The rest of the engine asks here for what a row has in the place of a key, a payload, a body of extras or a tag, and gets
//! back what was meant. What is encrypted is bound to where it is: a payload to the digest of its key and to its header, with
//! the write id; a body to the row and the write id.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use super::db::Body;
use super::extras::Extras;
use super::ready::Beside;
use super::row::EntryRow;
use crate::cipher::{Cipher, EncryptionKey, NAME, Opening, Place, Sealing, sealed_len};
use crate::codec::CHUNKS;
use crate::codec::chunks::rebind;
use crate::error::{Code, Error, Result};
use crate::frame::{HEADER, Header};
use crate::key::{Digest, Key};

/// Sorts of encrypted bytes, each of which opens as nothing else.
const PAYLOAD: u8 = 1;
const EXTRAS: u8 = 2;
const HEAD: u8 = 4; // 3 are blocks of snapshot files

/// How an open cache keeps things.
#[derive(Clone, Debug)]
pub(super) struct Keeping {
    pub cipher: Option<Arc<Cipher>>,
    /// The key that was given, for files that entries are saved in.
    pub key: Option<EncryptionKey>,
    /// Whether the texts of keys are stored, or their BLAKE3 hashes alone.
    pub keys: bool,
    /// Whether the checksum of a payload is looked at when it is read.
    pub verifies: bool,
}

impl Keeping {
    /// The same, verifying whatever it was told.
    pub fn strict(&self) -> Self {
        Self { verifies: true, ..self.clone() }
    }

    pub fn is_encrypted(&self) -> bool {
        self.cipher.is_some()
    }

    /// The text that stands for a key.
    pub fn text<'k>(&self, key: &'k Key<'_>) -> Cow<'k, [u8]> {
        if self.keys { Cow::Borrowed(key.as_bytes()) } else { key.hashed() }
    }

    /// Fails where keys are not known by a part of their text.
    pub fn expect_texts(&self) -> Result<()> {
        if self.keys {
            return Ok(());
        }
        Err(Error::new(
            Code::InvalidOption,
            "the texts of keys are not stored in this directory, so that none can be found by a part of it: list all \
             entries, or find them by their tags",
        )
        .with("name", "prefix"))
    }

    /// By which a key's row is found, and to which all of it is bound.
    pub fn digest(&self, key: &Key<'_>) -> Digest {
        self.digest_of_text(&self.text(key))
    }

    /// The same of the text that stands for a key.
    pub fn digest_of_text(&self, text: &[u8]) -> Digest {
        match &self.cipher {
            None => Digest::of(text),
            Some(cipher) => digest_of_name(&cipher.name(text)),
        }
    }

    /// What a row has in its column `key`.
    pub fn stored_key<'k>(&self, key: &'k Key<'_>) -> Result<Cow<'k, [u8]>> {
        let text = self.text(key);
        self.cipher.as_ref().map_or(Ok(text), |cipher| Ok(Cow::Owned(cipher.seal_key(&self.text(key))?)))
    }

    /// Whether a row is of this key.
    pub fn is_of(&self, stored: &[u8], key: &Key<'_>) -> bool {
        match &self.cipher {
            None if self.keys => stored == key.as_bytes(),
            None => stored == &key.hashed()[..],
            Some(cipher) => stored.starts_with(&cipher.name(&self.text(key))),
        }
    }

    /// The digest that belongs to what a row has in its column `key`.
    pub fn digest_of(&self, stored: &[u8]) -> Digest {
        match &self.cipher {
            None => Digest::of(stored),
            Some(_) => digest_of_name(stored.first_chunk().unwrap_or(&[0; NAME])),
        }
    }

    /// The text of a key, from what a row has.
    ///
    /// # Errors
    /// [`Code::Corrupt`] where it was changed.
    pub fn open_key<'s>(&self, stored: &'s [u8]) -> Result<Cow<'s, [u8]>> {
        self.cipher
            .as_ref()
            .map_or(Ok(Cow::Borrowed(stored)), |cipher| cipher.open_key(stored).map(Cow::Owned))
    }

    /// The seal that a row should have.
    pub fn seal(&self, row: &EntryRow<'_>, digest: Digest, checksum: u64) -> u64 {
        match &self.cipher {
            None => row.expected_seal(digest, checksum),
            Some(cipher) => cipher.row(&row.sealed_part(digest, checksum)),
        }
    }

    /// What a tag is stored as.
    pub fn tag<'t>(&self, tag: &'t str) -> Cow<'t, str> {
        self.cipher.as_ref().map_or(Cow::Borrowed(tag), |cipher| Cow::Owned(cipher.tag(tag)))
    }

    /// A frame with its header, of one that has room for it before the coded value: all fields that say how it is stored are
    /// set here.
    pub fn frame(
        &self,
        header: Header,
        digest: Digest,
        inline_max: usize,
        frame: Vec<u8>,
    ) -> Result<(Header, Vec<u8>)> {
        let in_file = self.stored_size((frame.len() - HEADER) as u64) > inline_max as u64;
        self.frame_in(Header { in_file, ..header }, digest, frame)
    }

    /// Bytes that a coded value of so many takes.
    fn stored_size(&self, plain: u64) -> u64 {
        if self.is_encrypted() { sealed_len(plain) } else { plain }
    }

    /// As [`Keeping::frame`], where it is settled whether the payload is in a file.
    pub fn frame_in(&self, header: Header, digest: Digest, mut frame: Vec<u8>) -> Result<(Header, Vec<u8>)> {
        let stored_size = self.stored_size((frame.len() - HEADER) as u64);
        let mut header = Header { stored_size, encrypted: self.is_encrypted(), ..header };
        if header.codec == CHUNKS {
            rebind(&mut frame[HEADER..], header.stream_seed(digest))?;
        }
        if let Some(cipher) = &self.cipher {
            let mut sealed = vec![0; HEADER];
            cipher.seal(payload_of(&header.bound(digest)), &frame[HEADER..], &mut sealed)?;
            frame = sealed;
        }
        header = header.sealed(digest, &frame[HEADER..]);
        frame[..HEADER].copy_from_slice(&header.to_bytes());
        Ok((header, frame))
    }

    /// The coded value in a stored payload, verified.
    ///
    /// # Errors
    /// [`Code::Corrupt`] where it is not what was stored.
    pub fn payload<'p>(&self, header: Header, digest: Digest, payload: &'p [u8]) -> Result<Cow<'p, [u8]>> {
        self.expect(header)?;
        match &self.cipher {
            Some(cipher) => {
                header.verify_length(payload)?;
                Ok(Cow::Owned(cipher.open(payload_of(&header.bound(digest)), payload)?))
            }
            None => {
                let check = if self.verifies {
                    header.verify(digest, payload)
                } else {
                    header.verify_length(payload)
                };
                check.map(|()| Cow::Borrowed(payload))
            }
        }
    }

    /// What is not encrypted was not stored by a cache with the key, and what is by none without.
    pub fn expect(&self, header: Header) -> Result<()> {
        if header.encrypted == self.is_encrypted() {
            return Ok(());
        }
        let is = if header.encrypted { "encrypted" } else { "not encrypted" };
        Err(Error::new(Code::Corrupt, format!("a stored frame is {is}, as nothing else in the directory")))
    }

    /// Encrypts a payload that comes in pieces. `None` where nothing is.
    pub fn sealing(&self, header: Header, digest: Digest) -> Result<Option<Sealing>> {
        self.is_encrypted().then(|| Sealing::new(payload_of(&header.bound(digest)))).transpose()
    }

    /// Whether a payload is verified before the first piece of it is read: what is encrypted, and chunks, are as they come.
    pub fn verifies_first(&self, header: Header) -> bool {
        header.codec == 0 && !header.encrypted && self.verifies
    }

    /// The payload in a file that is open where it starts.
    pub fn reading(&self, file: File, header: Header, digest: Digest) -> Result<Payload> {
        self.expect(header)?;
        Ok(match &self.cipher {
            None => Payload::Plain(file),
            Some(cipher) => {
                let opening = Opening::new(file, payload_of(&header.bound(digest)), header.stored_size)?;
                Payload::Encrypted(Box::new(opening), Arc::clone(cipher))
            }
        })
    }

    /// What the side tables get of an entry: with encryption, its tags under their hashes, and all of it in the place of the
    /// description. So whoever keeps the side tables in order needs no key.
    pub fn extras<'a>(&self, extras: Beside<'a>, digest: Digest, write_id: u64) -> Result<Beside<'a>> {
        let (Some(cipher), Some((known, body))) = (&self.cipher, &extras) else { return Ok(extras) };
        let mut sealed = Vec::new();
        cipher.seal(extras_at(&bound_extras(digest.id(), write_id)), body, &mut sealed)?;
        let tags = known.tags.iter().map(|tag| Cow::Owned(cipher.tag(tag))).collect();
        let outer = Extras { tags, description: Some(hex(&sealed).into()), meta: Vec::new() };
        let body = outer.to_bytes()?;
        Ok(Some((Cow::Owned(outer), body)))
    }

    /// The head of an entry's file, in the place of which only hexadecimal digits are stored. `None` where nothing is encrypted.
    pub fn seal_head(&self, id: i64, head: &str) -> Result<Option<String>> {
        let Some(cipher) = &self.cipher else { return Ok(None) };
        let mut sealed = Vec::new();
        cipher.seal(Place { sort: HEAD, of: &id.to_le_bytes() }, head.as_bytes(), &mut sealed)?;
        Ok(Some(hex(&sealed)))
    }

    /// The reverse, in a directory that is encrypted.
    ///
    /// # Errors
    /// [`Code::Corrupt`] where it was changed, or is of another entry.
    pub fn open_head(&self, id: i64, sealed: &str) -> Result<Vec<u8>> {
        let damaged = || Error::new(Code::Corrupt, "an entry file is damaged: its head is not encrypted");
        let (Some(cipher), Some(sealed)) = (&self.cipher, unhex(sealed)) else { return Err(damaged()) };
        cipher.open(Place { sort: HEAD, of: &id.to_le_bytes() }, &sealed)
    }

    /// What an entry carries. `None` where it is not what this write brought.
    pub fn open_extras<'b>(&self, body: &'b Body, id: i64, write_id: u64) -> Option<Extras<'b>> {
        let outer = body.open(write_id)?;
        let Some(cipher) = &self.cipher else { return Some(outer) };
        let sealed = unhex(outer.description.as_deref()?)?;
        let opened = cipher.open(extras_at(&bound_extras(id, write_id)), &sealed).ok()?;
        let extras = Extras::parse(&opened).ok()?.into_owned();
        let listed = extras.tags.iter().map(|tag| cipher.tag(tag));
        listed.eq(outer.tags.iter().map(|tag| tag.as_ref().to_owned())).then_some(extras)
    }
}

/// A payload in a file, as it was before it was encrypted.
pub(super) enum Payload {
    Plain(File),
    Encrypted(Box<Opening<File>>, Arc<Cipher>),
}

impl Read for Payload {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(out),
            Self::Encrypted(opening, cipher) => opening.read(cipher, out),
        }
    }
}

fn digest_of_name(name: &[u8; NAME]) -> Digest {
    let mut digest = [0; 16];
    digest.copy_from_slice(&name[..16]);
    Digest::from_bytes(digest)
}

fn payload_of(of: &[u8]) -> Place<'_> {
    Place { sort: PAYLOAD, of }
}

fn extras_at(of: &[u8]) -> Place<'_> {
    Place { sort: EXTRAS, of }
}

fn bound_extras(id: i64, write_id: u64) -> [u8; 16] {
    let mut bound = [0; 16];
    bound[..8].copy_from_slice(&id.to_le_bytes());
    bound[8..].copy_from_slice(&write_id.to_le_bytes());
    bound
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}
