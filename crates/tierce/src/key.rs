//! Canonical key encoding and digest.
//!
//! A key is a *text*. A string that does not start with NUL is its own text; every other key is NUL followed by one
//! self-delimiting item (`docs/on-disk-format.md`, "Keys", has the grammar). The encoding is injective, so two keys
//! are equal exactly when their texts are. A text longer than [`MAX_STORED`] bytes is replaced by the BLAKE3-256 of it,
//! so what is stored and compared is always short and never rests on a hash that can be forged. The namespace that it may
//! begin with stays in front, as entries are listed by it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use xxhash_rust::xxh3::xxh3_128;

/// Texts above this many bytes are stored and compared as their BLAKE3-256 digest.
pub const MAX_STORED: usize = 1024;
/// Bytes of such a digest in its stored form.
const HASHED: usize = 66;

/// The canonical form of a key: what is hashed, stored and compared.
///
/// Strings, integers, bytes and references to keys convert into one; [`Key::of`] takes what is structured.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key<'a>(Cow<'a, [u8]>);

impl std::fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({:?})", String::from_utf8_lossy(&self.0))
    }
}

impl<'a> Key<'a> {
    /// A key from a canonical text that was built elsewhere (the TypeScript layer builds its own).
    pub fn from_text(text: impl Into<Cow<'a, [u8]>>) -> Self {
        let text = text.into();
        if text.len() <= MAX_STORED {
            return Self(text);
        }
        let (namespace, own) = text.split_at(namespace_len(&text));
        Self(Cow::Owned([namespace, &hashed_text(own)].concat()))
    }

    /// A structured key: numbers, tuples, slices and maps. Equal items give equal keys; the order of a map's entries
    /// does not matter.
    ///
    /// ```
    /// use tierce::Key;
    /// assert_ne!(Key::of(&("a", 1)), Key::of(&("a", "1")));
    /// ```
    pub fn of(item: &(impl KeyItem + ?Sized)) -> Key<'static> {
        let mut text = String::from('\0');
        item.write_item(&mut text);
        Key::from_text(text.into_bytes())
    }

    /// A key that borrows nothing.
    pub fn into_owned(self) -> Key<'static> {
        Key(Cow::Owned(self.0.into_owned()))
    }

    /// The bytes that are stored and compared.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes that stand for the key where the texts of keys are not stored: as for a text above [`MAX_STORED`].
    pub(crate) fn hashed(&self) -> Cow<'_, [u8]> {
        let is_hash = |text: &[u8]| {
            text.len() == HASHED && text.starts_with(b"\0#") && text[2..].iter().all(u8::is_ascii_hexdigit)
        };
        if is_hash(&self.0) { Cow::Borrowed(&self.0) } else { Cow::Owned(hashed_text(&self.0)) }
    }

    /// The digest of the stored bytes: the index, never the identity.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

impl<'a> From<&'a str> for Key<'a> {
    fn from(text: &'a str) -> Self {
        if text.starts_with('\0') { Key::of(text) } else { Key::from_text(text.as_bytes()) }
    }
}

impl From<String> for Key<'_> {
    fn from(text: String) -> Self {
        if text.starts_with('\0') { Key::of(text.as_str()) } else { Key::from_text(text.into_bytes()) }
    }
}

impl<'a> From<&'a String> for Key<'a> {
    fn from(text: &'a String) -> Self {
        Key::from(text.as_str())
    }
}

impl<'a> From<Cow<'a, str>> for Key<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Key::from(text),
            Cow::Owned(text) => Key::from(text),
        }
    }
}

impl<'a> From<&'a Key<'_>> for Key<'a> {
    fn from(key: &'a Key<'_>) -> Self {
        Self(Cow::Borrowed(&key.0))
    }
}

/// Bytes are a key of their own kind, [`Bytes`]: `b"a"` is not `"a"`.
impl From<&[u8]> for Key<'_> {
    fn from(bytes: &[u8]) -> Self {
        Key::of(&Bytes(bytes))
    }
}

impl<const N: usize> From<&[u8; N]> for Key<'_> {
    fn from(bytes: &[u8; N]) -> Self {
        Key::from(&bytes[..])
    }
}

impl From<&Vec<u8>> for Key<'_> {
    fn from(bytes: &Vec<u8>) -> Self {
        Key::from(bytes.as_slice())
    }
}

/// Bytes at the start of a text that name a namespace: `N`, the item of its name. None of one that leaves no room for a hash.
fn namespace_len(text: &[u8]) -> usize {
    let len = || {
        let text = std::str::from_utf8(text).ok()?;
        let (units, rest) = text.strip_prefix("\0Ns")?.split_once(':')?;
        let mut left = units.parse::<usize>().ok()?; // in UTF-16
        let ends = |&(_, letter): &(usize, char)| {
            let ends = left == 0;
            left = left.saturating_sub(letter.len_utf16());
            ends
        };
        let (end, _) = rest.char_indices().find(ends)?;
        Some(text.len() - rest.len() + end).filter(|len| len + HASHED <= MAX_STORED)
    };
    len().unwrap_or(0)
}

fn hashed_text(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HASHED);
    out.extend_from_slice(b"\0#");
    out.extend_from_slice(blake3::hash(text).to_hex().as_bytes());
    out
}

/// XXH3-128 of a key's stored bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(u128);

impl Digest {
    /// The digest of a key's stored bytes.
    pub fn of(stored_key: &[u8]) -> Self {
        Self(xxh3_128(stored_key))
    }

    pub(crate) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_le_bytes(bytes))
    }

    /// The row of the entry: the upper half of the digest.
    pub const fn id(self) -> i64 {
        (self.0 >> 64) as i64
    }

    /// The slot of the key in a table of `2^bits` epochs: taken from the lower half.
    pub const fn slot(self, bits: u32) -> u32 {
        (self.0 as u32) & ((1 << bits) - 1)
    }

    /// All 16 bytes, little-endian.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }
}

/// Something that can be part of a structured key.
pub trait KeyItem {
    /// Appends the item in its self-delimiting form.
    fn write_item(&self, text: &mut String);
}

/// Bytes as one item of a key.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl KeyItem for Bytes<'_> {
    fn write_item(&self, text: &mut String) {
        let _ = write!(text, "bUint8Array:{}:", self.0.len());
        text.extend(self.0.iter().map(|&byte| char::from(byte)));
    }
}

impl KeyItem for str {
    fn write_item(&self, text: &mut String) {
        let units = if self.is_ascii() { self.len() } else { self.encode_utf16().count() };
        let _ = write!(text, "s{units}:{self}");
    }
}

impl KeyItem for String {
    fn write_item(&self, text: &mut String) {
        self.as_str().write_item(text);
    }
}

impl KeyItem for bool {
    fn write_item(&self, text: &mut String) {
        text.push(if *self { 't' } else { 'f' });
    }
}

/// The largest integer that a JavaScript number holds exactly; larger ones are written like a `bigint`.
const MAX_SAFE: u64 = (1 << 53) - 1;

macro_rules! integer_items {
    ($($t:ty),*) => {$(
        impl KeyItem for $t {
            fn write_item(&self, text: &mut String) {
                #[allow(unused_comparisons, clippy::allow_attributes_without_reason)]
                let magnitude = if *self < 0 { (*self as i64).unsigned_abs() } else { *self as u64 };
                let tag = if magnitude <= MAX_SAFE { 'i' } else { 'I' };
                let _ = write!(text, "{tag}{self};");
            }
        }

        /// As [`Key::of`] gives it.
        impl From<$t> for Key<'_> {
            fn from(number: $t) -> Self {
                Key::of(&number)
            }
        }
    )*};
}
integer_items!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

impl KeyItem for f64 {
    fn write_item(&self, text: &mut String) {
        let integral = self.fract() == 0.0
            && self.abs() <= MAX_SAFE as f64
            && !(*self == 0.0 && self.is_sign_negative());
        if integral {
            (*self as i64).write_item(text);
        } else {
            let bits = if self.is_nan() { f64::NAN.to_bits() & !(1 << 63) } else { self.to_bits() };
            let _ = write!(text, "d{bits:016x}");
        }
    }
}

impl<T: KeyItem> KeyItem for Option<T> {
    fn write_item(&self, text: &mut String) {
        match self {
            Some(item) => item.write_item(text),
            None => text.push('n'),
        }
    }
}

impl<T: KeyItem + ?Sized> KeyItem for &T {
    fn write_item(&self, text: &mut String) {
        (**self).write_item(text);
    }
}

impl<T: KeyItem> KeyItem for [T] {
    fn write_item(&self, text: &mut String) {
        text.push('[');
        for item in self {
            item.write_item(text);
        }
        text.push(']');
    }
}

impl<T: KeyItem, const N: usize> KeyItem for [T; N] {
    fn write_item(&self, text: &mut String) {
        self.as_slice().write_item(text);
    }
}

impl<T: KeyItem + ToOwned + ?Sized> KeyItem for Cow<'_, T> {
    fn write_item(&self, text: &mut String) {
        (**self).write_item(text);
    }
}

impl<T: KeyItem + ?Sized> KeyItem for Box<T> {
    fn write_item(&self, text: &mut String) {
        (**self).write_item(text);
    }
}

impl KeyItem for f32 {
    fn write_item(&self, text: &mut String) {
        f64::from(*self).write_item(text);
    }
}

impl<T: KeyItem> KeyItem for Vec<T> {
    fn write_item(&self, text: &mut String) {
        self.as_slice().write_item(text);
    }
}

impl<K: AsRef<str>, V: KeyItem> KeyItem for BTreeMap<K, V> {
    fn write_item(&self, text: &mut String) {
        // Names are ordered by UTF-16 code units, as JavaScript orders them; UTF-8 order differs above U+FFFF.
        let mut entries: Vec<(&str, &V)> = self.iter().map(|(name, value)| (name.as_ref(), value)).collect();
        entries.sort_by(|a, b| a.0.encode_utf16().cmp(b.0.encode_utf16()));
        text.push('{');
        for (name, value) in entries {
            name.write_item(text);
            value.write_item(text);
        }
        text.push('}');
    }
}

macro_rules! tuple_items {
    ($(($($name:ident $index:tt),+))*) => {$(
        impl<$($name: KeyItem),+> KeyItem for ($($name,)+) {
            fn write_item(&self, text: &mut String) {
                text.push('[');
                $(self.$index.write_item(text);)+
                text.push(']');
            }
        }
    )*};
}
tuple_items! {
    (A 0) (A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) (A 0, B 1, C 2, D 3, E 4) (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6) (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(item: &(impl KeyItem + ?Sized)) -> String {
        String::from_utf8(Key::of(item).as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn a_string_is_its_own_text_unless_it_starts_with_nul() {
        assert_eq!(Key::from("user:1").as_bytes(), b"user:1");
        assert_eq!(Key::from("\0i1;").as_bytes(), b"\0s4:\0i1;");
        assert_ne!(Key::from("\0i1;"), Key::of(&1));
    }

    #[test]
    fn what_converts_into_a_key_is_the_key_of_it() {
        assert_eq!(Key::from(7u64), Key::of(&7));
        assert_eq!(Key::from(b"ab"), Key::of(&Bytes(b"ab")));
        assert_ne!(Key::from(b"ab"), Key::from("ab"));
        assert_eq!(Key::of(&["a", "b"]), Key::of(&vec!["a", "b"]));
        let (owned, borrowed) = (Key::from(String::from("ab")), Key::from(Cow::Borrowed("ab")));
        assert_eq!((&owned, Key::from(&owned)), (&borrowed, Key::from("ab")));
        assert_eq!(format!("{owned:?}"), r#"Key("ab")"#);
    }

    #[test]
    fn items_that_look_alike_stay_apart() {
        assert_ne!(Key::of(&["a,str:b"][..]), Key::of(&["a", "b"][..]));
        assert_ne!(Key::of(&-1), Key::of(&-2));
        assert_ne!(Key::of(&1), Key::of("1"));
        assert_ne!(Key::of(&1), Key::of(&true));
        assert_eq!(Key::of(&1), Key::of(&1.0));
        assert_ne!(Key::of(&0.0), Key::of(&-0.0));
        assert_eq!(Key::of(&f64::NAN), Key::of(&-f64::NAN));
        assert_ne!(Key::of(&(1, (2, 3))), Key::of(&((1, 2), 3)));
    }

    #[test]
    fn text_has_the_documented_form() {
        assert_eq!(
            text(&("é𝄞", 1.5, -7i64, None::<u8>, u64::MAX)),
            "\0[s3:é𝄞d3ff8000000000000i-7;nI18446744073709551615;]"
        );
        let map = BTreeMap::from([("\u{ff61}", 1), ("𝄞", 2)]);
        assert_eq!(text(&map), "\0{s2:𝄞i2;s1:\u{ff61}i1;}", "names are sorted by UTF-16 code units");
    }

    #[test]
    fn a_long_key_of_a_namespace_keeps_the_name_in_front() {
        let long = "x".repeat(MAX_STORED);
        let stored =
            |text: &str| String::from_utf8(Key::from_text(text.as_bytes()).as_bytes().to_vec()).unwrap();
        let own = format!("\0#{}", blake3::hash(long.as_bytes()).to_hex());
        for head in ["\0Ns1:n", "\0Ns3:é𝄞", "\0Ns2::5"] {
            assert_eq!(stored(&format!("{head}{long}")), format!("{head}{own}"));
            assert_eq!(stored(&format!("{head}{own}")), format!("{head}{own}"), "it finds itself");
            assert_eq!(stored(&format!("{head}short")), format!("{head}short"));
        }
        for none in
            ["\0Ns9999:", "\0Ns:", "\0Ns-1:", "\0Nsx", "\0N", "\0Ns99999999999999999999:", "\0Ns1000:"]
        {
            assert_eq!(stored(&format!("{none}{long}")).len(), HASHED, "{none}");
        }
    }

    #[test]
    fn a_long_key_is_compared_by_a_cryptographic_digest() {
        let long = "x".repeat(MAX_STORED + 1);
        let key = Key::from(long.as_str());
        assert_eq!(key.as_bytes().len(), 66);
        assert!(key.as_bytes().starts_with(b"\0#"));
        assert_ne!(key, Key::from("x".repeat(MAX_STORED + 2)));
        assert_eq!(Key::from_text(key.as_bytes().to_vec()), key, "the short form stands for itself");
        assert_eq!(Key::from("x".repeat(MAX_STORED)).as_bytes().len(), MAX_STORED);
    }
}
