//! Encryption at rest: the key of a user, the keys that are made of it, and how bytes are sealed with them
//! (`docs/on-disk-format.md`, "Encryption").
//!
//! Sealed bytes are a random prefix of 19 bytes and segments of up to 64 KiB, each with a tag of 16: XChaCha20-Poly1305 in
//! the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015), whose nonces are the prefix, the number of the
//! segment and whether it is the last. So segments cannot be swapped, repeated or left out, and a reader needs memory for one.

mod segments;

use std::fmt;

use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{KeyInit as _, Tag, XChaCha20Poly1305, XNonce};
use zeroize::{Zeroize as _, Zeroizing};

use crate::error::{Code, Error, Result};

pub(crate) use segments::{Opening, Sealing};

/// Bytes of a key.
const KEY: usize = 32;
/// Bytes of the salt that makes the keys of a directory, or of a file, its own.
pub(crate) const SALT: usize = 32;
/// Bytes by which a wrong key is known.
pub(crate) const CHECK: usize = 16;
/// Bytes of the keyed hash of a key's text: the first 16 are its digest.
pub(crate) const NAME: usize = 32;
/// The most bytes of a segment, and what each has more when it is sealed.
pub(crate) const SEGMENT: usize = 64 * 1024;
const TAG: usize = 16;
const PREFIX: usize = 19;
const NONCE: usize = PREFIX + 5;

/// A secret of 32 random bytes that a cache is encrypted with. It is overwritten when it is dropped, and shows nothing of itself.
///
/// ```
/// # fn main() -> tierce::Result<()> {
/// # let temp = tempfile::tempdir().unwrap();
/// # let dir = temp.path().join("cache");
/// # let bytes = [7; 32];
/// let cache = tierce::Cache::builder().encryption(tierce::EncryptionKey::from(bytes)).open(&dir)?;
/// cache.set("user:1", b"Ada")?;
/// # cache.close()?;
/// let refused = tierce::Cache::builder().open(&dir).unwrap_err();
/// assert_eq!(refused.code(), tierce::Code::Encryption);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct EncryptionKey(Zeroizing<[u8; KEY]>);

impl From<[u8; KEY]> for EncryptionKey {
    fn from(bytes: [u8; KEY]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl TryFrom<&[u8]> for EncryptionKey {
    type Error = Error;

    /// # Errors
    /// [`Code::InvalidOption`] when they are not 32.
    fn try_from(bytes: &[u8]) -> Result<Self> {
        let mut key = Zeroizing::new([0; KEY]);
        if bytes.len() != KEY {
            let message = format!(
                "the encryption key has {} bytes; accepted are {KEY} random ones, not a password",
                bytes.len()
            );
            return Err(Error::new(Code::InvalidOption, message).with("name", "encryption"));
        }
        key.copy_from_slice(bytes);
        Ok(Self(key))
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey")
    }
}

/// The keys of one directory, or of one file.
pub(crate) struct Cipher {
    names: Zeroizing<[u8; KEY]>,
    tags: Zeroizing<[u8; KEY]>,
    rows: Zeroizing<[u8; KEY]>,
    keys: XChaCha20Poly1305,
    bodies: XChaCha20Poly1305,
    check: [u8; CHECK],
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher")
    }
}

/// Where sealed bytes belong: they open nowhere else.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// What sort of bytes they are.
    pub sort: u8,
    pub of: &'a [u8],
}

impl Place<'_> {
    fn associated(self) -> Vec<u8> {
        [&[self.sort], self.of].concat()
    }
}

impl Cipher {
    pub fn new(key: &EncryptionKey, salt: &[u8; SALT]) -> Self {
        let derived = |purpose: &str| {
            let mut hasher =
                blake3::Hasher::new_derive_key(&format!("tierce 2026 encryption at rest: {purpose}"));
            hasher.update(&key.0[..]).update(salt);
            let mut out = Zeroizing::new([0; KEY]);
            hasher.finalize_xof().fill(&mut out[..]);
            hasher.zeroize();
            out
        };
        let sealing = |purpose| XChaCha20Poly1305::new((&*derived(purpose)).into());
        let mut check = [0; CHECK];
        check.copy_from_slice(&derived("check")[..CHECK]);
        Self {
            names: derived("names of entries"),
            tags: derived("tags"),
            rows: derived("rows"),
            keys: sealing("texts of keys"),
            bodies: sealing("bodies"),
            check,
        }
    }

    /// What tells the right key from a wrong one, and nothing else about it.
    pub fn check(&self) -> [u8; CHECK] {
        self.check
    }

    /// The keyed hash by which an entry is found.
    pub fn name(&self, text: &[u8]) -> [u8; NAME] {
        blake3::keyed_hash(&self.names, text).into()
    }

    /// The keyed hash by which a tag is found.
    pub fn tag(&self, tag: &str) -> String {
        blake3::keyed_hash(&self.tags, tag.as_bytes()).to_hex()[..32].to_owned()
    }

    /// A keyed checksum of what a row says in the clear.
    pub fn row(&self, bytes: &[u8]) -> u64 {
        let mut word = [0; 8];
        word.copy_from_slice(&blake3::keyed_hash(&self.rows, bytes).as_bytes()[..8]);
        u64::from_le_bytes(word)
    }

    /// The text of a key behind its name: a name belongs to one text, so that it serves as the nonce (the idea of SIV).
    pub fn seal_key(&self, text: &[u8]) -> Result<Vec<u8>> {
        let name = self.name(text);
        let mut out = [&name[..], text].concat();
        seal_at(&self.keys, &key_nonce(&name), &name, &mut out, NAME)?;
        Ok(out)
    }

    /// The text of a sealed key.
    pub fn open_key(&self, sealed: &[u8]) -> Result<Vec<u8>> {
        let (name, text) = sealed.split_first_chunk::<NAME>().ok_or_else(tampered)?;
        let mut out = Vec::new();
        open_to(&self.keys, &key_nonce(name), name, text, &mut out)?;
        Ok(out)
    }

    /// Appends what `plain` is when it is sealed.
    pub fn seal(&self, place: Place<'_>, plain: &[u8], out: &mut Vec<u8>) -> Result<()> {
        out.reserve(sealed_len(plain.len() as u64) as usize);
        let mut sealing = Sealing::new(place)?;
        sealing.push(self, plain, out)?;
        sealing.finish(self, out)
    }

    /// The reverse of [`Cipher::seal`].
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Vec<u8>> {
        let plain = plain_len(sealed.len() as u64).ok_or_else(tampered)?;
        let mut out = Vec::new();
        out.try_reserve_exact(plain as usize).map_err(|why| {
            Error::new(Code::ValueTooLarge, format!("no memory for a value of {plain} bytes")).because(why)
        })?;
        let (prefix, segments) = sealed.split_first_chunk::<PREFIX>().ok_or_else(tampered)?;
        let associated = place.associated();
        let mut rest = segments.chunks(SEGMENT + TAG).enumerate().peekable();
        while let Some((number, segment)) = rest.next() {
            let nonce = nonce(prefix, number as u64, rest.peek().is_none())?;
            open_to(&self.bodies, &nonce, &associated, segment, &mut out)?;
        }
        Ok(out)
    }
}

/// Bytes that so many take when they are sealed.
pub(crate) const fn sealed_len(plain: u64) -> u64 {
    let segments = plain.div_ceil(SEGMENT as u64);
    PREFIX as u64 + plain.saturating_add((if segments == 0 { 1 } else { segments }) * TAG as u64)
}

/// Bytes that so many sealed ones hold; nothing where no bytes are so long when they are sealed.
pub(crate) fn plain_len(sealed: u64) -> Option<u64> {
    let rest = sealed.checked_sub(PREFIX as u64)?;
    let segments = rest.div_ceil((SEGMENT + TAG) as u64);
    let plain = rest.checked_sub(segments * TAG as u64)?;
    (segments > 0 && sealed_len(plain) == sealed).then_some(plain)
}

fn key_nonce(name: &[u8; NAME]) -> [u8; NONCE] {
    let mut nonce = [0; NONCE];
    nonce.copy_from_slice(&name[..NONCE]);
    nonce
}

fn nonce(prefix: &[u8; PREFIX], number: u64, is_last: bool) -> Result<[u8; NONCE]> {
    let number = u32::try_from(number)
        .map_err(|why| Error::new(Code::ValueTooLarge, "a value has too many segments").because(why))?;
    let mut nonce = [0; NONCE];
    nonce[..PREFIX].copy_from_slice(prefix);
    nonce[PREFIX..NONCE - 1].copy_from_slice(&number.to_be_bytes());
    nonce[NONCE - 1] = u8::from(is_last);
    Ok(nonce)
}

/// Seals the end of `out`, and appends its tag.
fn seal_at(
    cipher: &XChaCha20Poly1305,
    nonce: &[u8; NONCE],
    associated: &[u8],
    out: &mut Vec<u8>,
    from: usize,
) -> Result<()> {
    let tag = cipher.encrypt_inout_detached(&XNonce::from(*nonce), associated, (&mut out[from..]).into());
    let tag = tag.map_err(|_| Error::new(Code::Internal, "a segment was not sealed"))?;
    out.extend_from_slice(&tag);
    Ok(())
}

/// Appends a segment, opened. What does not verify is not left in `out`.
fn open_to(
    cipher: &XChaCha20Poly1305,
    nonce: &[u8; NONCE],
    associated: &[u8],
    segment: &[u8],
    out: &mut Vec<u8>,
) -> Result<()> {
    let (segment, tag) = segment.split_last_chunk::<TAG>().ok_or_else(tampered)?;
    let from = out.len();
    out.extend_from_slice(segment);
    let tag = Tag::from(*tag);
    let opened =
        cipher.decrypt_inout_detached(&XNonce::from(*nonce), associated, (&mut out[from..]).into(), &tag);
    opened.map_err(|_| {
        out.truncate(from);
        tampered()
    })
}

fn tampered() -> Error {
    Error::new(
        Code::Corrupt,
        "what is encrypted was changed or moved since it was stored: it does not open with the key",
    )
}

/// Fills with random bytes of the system's.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|why| {
        Error::new(Code::Unavailable, format!("the system gave no random bytes: {why}")).because(why)
    })
}

#[cfg(test)]
mod tests;
