//! As much JSON as the head of an entry takes. Numbers stay the text that they are, so that no digit is lost.

use std::fmt::Write as _;

use crate::error::{Code, Error, Result};

/// Arrays and objects inside each other: an entry's head has three.
const DEEPEST: u8 = 8;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// A whole number, or `null`.
    pub fn whole(number: Option<u64>) -> Self {
        number.map_or(Self::Null, |number| Self::Number(number.to_string()))
    }

    /// A number that does not fit a `double` of other readers.
    pub fn hex(number: u64) -> Self {
        Self::Text(format!("{number:016x}"))
    }

    /// The member of an object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(known, _)| known == name).map(|(_, value)| value),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub fn u64(&self) -> Option<u64> {
        if let Self::Number(text) = self { text.parse().ok() } else { None }
    }

    /// What [`Json::hex`] made.
    pub fn as_hex(&self) -> Option<u64> {
        self.text().filter(|text| text.len() == 16).and_then(|text| u64::from_str_radix(text, 16).ok())
    }

    /// Appends it, on one line.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(known) => out.push_str(if *known { "true" } else { "false" }),
            Self::Number(text) => out.push_str(text),
            Self::Text(text) => write_text(text, out),
            Self::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    out.push(if index == 0 { '[' } else { ',' });
                    item.write(out);
                }
                out.push_str(if items.is_empty() { "[]" } else { "]" });
            }
            Self::Object(members) => {
                for (index, (name, value)) in members.iter().enumerate() {
                    out.push(if index == 0 { '{' } else { ',' });
                    write_text(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push_str(if members.is_empty() { "{}" } else { "}" });
            }
        }
    }

    /// Reads a text that is one value.
    ///
    /// # Errors
    /// [`Code::Corrupt`].
    pub fn parse(text: &str) -> Result<Self> {
        let mut rest = Rest { text, at: 0 };
        let value = rest.value(0)?;
        rest.space();
        if rest.at == text.len() { Ok(value) } else { Err(rest.no_json()) }
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            // DEL and the rest are shown as they are not: a terminal may show a head.
            char if char.is_control() => {
                let _ = write!(out, "\\u{:04x}", char as u32); // no control character is beyond U+009F
            }
            char => out.push(char),
        }
    }
    out.push('"');
}

struct Rest<'a> {
    text: &'a str,
    at: usize,
}

impl Rest<'_> {
    fn no_json(&self) -> Error {
        Error::new(Code::Corrupt, format!("the head of an entry is no JSON at byte {}", self.at))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Takes a byte, if it is the next one.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn value(&mut self, depth: u8) -> Result<Json> {
        self.space();
        match self.peek() {
            Some(b'"') => self.string().map(Json::Text),
            Some(b'[') if depth < DEEPEST => self.list(depth),
            Some(b'{') if depth < DEEPEST => self.object(depth),
            Some(b'-' | b'0'..=b'9') => Ok(self.number()),
            _ => [("null", Json::Null), ("true", Json::Bool(true)), ("false", Json::Bool(false))]
                .into_iter()
                .find(|(word, _)| self.text[self.at..].starts_with(word))
                .map(|(word, value)| {
                    self.at += word.len();
                    value
                })
                .ok_or_else(|| self.no_json()),
        }
    }

    /// Whoever wants one parses it: what is no number fails there.
    fn number(&mut self) -> Json {
        let start = self.at;
        while matches!(self.peek(), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
            self.at += 1;
        }
        Json::Number(self.text[start..self.at].to_owned())
    }

    fn list(&mut self, depth: u8) -> Result<Json> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.take(b']') {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space();
            if self.take(b']') {
                return Ok(Json::List(items));
            }
            if !self.take(b',') {
                return Err(self.no_json());
            }
        }
    }

    fn object(&mut self, depth: u8) -> Result<Json> {
        self.at += 1;
        let mut members = Vec::new();
        self.space();
        if self.take(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.space();
            let name = self.string()?;
            self.space();
            if !self.take(b':') {
                return Err(self.no_json());
            }
            members.push((name, self.value(depth + 1)?));
            self.space();
            if self.take(b'}') {
                return Ok(Json::Object(members));
            }
            if !self.take(b',') {
                return Err(self.no_json());
            }
        }
    }

    fn string(&mut self) -> Result<String> {
        if !self.take(b'"') {
            return Err(self.no_json());
        }
        let mut out = String::new();
        loop {
            let run = self.text[self.at..].find(['"', '\\']).ok_or_else(|| self.no_json())?;
            out.push_str(&self.text[self.at..self.at + run]);
            self.at += run;
            if self.take(b'"') {
                return Ok(out);
            }
            self.at += 1;
            out.push(self.escaped()?);
        }
    }

    fn escaped(&mut self) -> Result<char> {
        let byte = self.peek().ok_or_else(|| self.no_json())?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.unit()?;
                let mut units = vec![first];
                if (0xd800..0xdc00).contains(&first) && self.take(b'\\') && self.take(b'u') {
                    units.push(self.unit()?);
                }
                let mut chars = char::decode_utf16(units);
                match (chars.next(), chars.next()) {
                    (Some(Ok(char)), None) => char,
                    _ => return Err(self.no_json()),
                }
            }
            _ => return Err(self.no_json()),
        })
    }

    fn unit(&mut self) -> Result<u16> {
        let digits =
            self.text.get(self.at..self.at + 4).filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
        let unit =
            digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()).ok_or_else(|| self.no_json())?;
        self.at += 4;
        Ok(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::Bool),
            any::<i64>().prop_map(|number| Json::Number(number.to_string())),
            any::<String>().prop_map(Json::Text),
        ];
        leaf.prop_recursive(3, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::List),
                proptest::collection::vec((any::<String>(), inner), 0..4).prop_map(Json::Object),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_is_one_line(value in json()) {
            let mut text = String::new();
            value.write(&mut text);
            prop_assert!(!text.contains('\n'));
            prop_assert_eq!(Json::parse(&text).unwrap(), value);
        }

        #[test]
        fn nonsense_is_refused_or_read(text: String, parts in "[\\[\\]{}\",:0-9a-z\\\\ ]{0,40}") {
            let _ = (Json::parse(&text), Json::parse(&parts));
        }
    }

    #[test]
    fn other_writers_may_escape_more_and_space_out() {
        let value = Json::parse(" { \"a\\u00e9\\ud83d\\ude00\" : [ 1 , -2.5e3 ] , \"b\" : { } } ").unwrap();
        assert_eq!(
            value.get("a\u{e9}\u{1f600}"),
            Some(&Json::List(vec![Json::Number("1".into()), Json::Number("-2.5e3".into())]))
        );
        assert!(Json::parse("\"\\ud83d\"").is_err() && Json::parse("\"\\u+123\"").is_err());
        assert!(Json::parse(&"[".repeat(100_000)).is_err());
    }
}
