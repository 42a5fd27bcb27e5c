//! What an entry may carry beside its value: tags, a description, rows of custom metadata.
//!
//! Most entries carry nothing, and pay nothing: a flag in the frame's header says whether the side tables know the
//! entry. Where they do, one *body* holds all of it in the layout below, sealed to the write that brought it; the tables
//! that are searched (`tags`, those of custom metadata) are made from it, and go by it.
//!
//! | what | bytes |
//! |---|---|
//! | description | length `u32`, all ones for none; UTF-8 |
//! | tags | count `u16`; of each: length `u16`, UTF-8 |
//! | rows | count `u16`; of each: length `u8` and name of the table, count `u16` of cells |
//! | cell | length `u8` and name of the column, type `u8`; 1 integer `i64`, 2 real `f64`, 3 text: length `u32`, UTF-8 |
//!
//! All little-endian. A null is left out.

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::{Code, Error, Result};

/// What a tag, and a name of a table or column, may take at most, in bytes.
const LONGEST: (usize, usize) = (1024, 63);
const NO_DESCRIPTION: u32 = u32::MAX;

/// A value in a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// No value.
    Null,
    /// A whole number.
    Integer(i64),
    /// A number.
    Real(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// Bytes: of what a query computes. No column holds any.
    Bytes(Cow<'a, [u8]>),
}

/// A row of custom metadata: what an entry has in one declared table.
#[derive(Clone, Debug, PartialEq)]
pub struct MetaRow<'a> {
    /// The table's declared name.
    pub table: Cow<'a, str>,
    /// Values by the names of their columns. What is not named is null.
    pub cells: Vec<(Cow<'a, str>, Cell<'a>)>,
}

/// What an entry carries beside its value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extras<'a> {
    /// Names under which entries are invalidated together: 1 to 1024 bytes each.
    pub tags: Vec<Cow<'a, str>>,
    /// For people.
    pub description: Option<Cow<'a, str>>,
    /// Rows of custom metadata, one a table at most.
    pub meta: Vec<MetaRow<'a>>,
}

impl<'a> Extras<'a> {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.description.is_none() && self.meta.is_empty()
    }

    /// The body.
    ///
    /// # Errors
    /// [`Code::InvalidOption`] for what is too long or too many.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        match &self.description {
            Some(text) => put_long(&mut body, text, "a description")?,
            None => body.extend(NO_DESCRIPTION.to_le_bytes()),
        }
        put_count(&mut body, self.tags.len(), "tags")?;
        for tag in &self.tags {
            check_length(tag, LONGEST.0, "a tag")?;
            body.extend((tag.len() as u16).to_le_bytes());
            body.extend(tag.as_bytes());
        }
        put_count(&mut body, self.meta.len(), "rows of metadata")?;
        for row in &self.meta {
            row.check()?;
            put_name(&mut body, &row.table)?;
            let known = || row.cells.iter().filter(|(_, cell)| *cell != Cell::Null);
            put_count(&mut body, known().count(), "columns")?;
            for (column, cell) in known() {
                put_name(&mut body, column)?;
                match cell {
                    Cell::Null => {}
                    Cell::Integer(number) => {
                        body.push(1);
                        body.extend(number.to_le_bytes());
                    }
                    Cell::Real(number) => {
                        body.push(2);
                        body.extend(number.to_le_bytes());
                    }
                    Cell::Text(text) => {
                        body.push(3);
                        put_long(&mut body, text, "text")?;
                    }
                    Cell::Bytes(_) => {} // refused above
                }
            }
        }
        Ok(body)
    }

    /// Reads a body.
    ///
    /// # Errors
    /// [`Code::Corrupt`] when it is none.
    pub fn parse(body: &'a [u8]) -> Result<Self> {
        let mut rest = Rest(body);
        let length = rest.u32()?;
        let description = if length == NO_DESCRIPTION { None } else { Some(rest.text(length as usize)?) };
        let tags = (0..rest.u16()?)
            .map(|_| {
                let length = rest.u16()?;
                rest.text(length.into()).and_then(|tag| within(tag, LONGEST.0))
            })
            .collect::<Result<_>>()?;
        let meta = (0..rest.u16()?).map(|_| rest.row()).collect::<Result<_>>()?;
        if rest.0.is_empty() { Ok(Self { tags, description, meta }) } else { Err(damaged()) }
    }

    /// The same, without a borrow.
    pub fn into_owned(self) -> Extras<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Extras {
            tags: self.tags.into_iter().map(own).collect(),
            description: self.description.map(own),
            meta: self
                .meta
                .into_iter()
                .map(|row| MetaRow {
                    table: own(row.table),
                    cells: row.cells.into_iter().map(|(name, cell)| (own(name), cell.into_owned())).collect(),
                })
                .collect(),
        }
    }
}

impl MetaRow<'_> {
    /// Refuses what no column of any type holds.
    pub(super) fn check(&self) -> Result<()> {
        let Some((column, _)) = self.cells.iter().find(|(_, cell)| matches!(cell, Cell::Bytes(_))) else {
            return Ok(());
        };
        let why = format!(
            "the column {column:?} of the table {:?} does not hold bytes: give text, such as their hexadecimal digits",
            self.table
        );
        Err(Error::new(Code::InvalidOption, why).with("table", &*self.table).with("column", &**column))
    }
}

impl<'a> Cell<'a> {
    /// The same without what it borrows.
    pub fn into_owned(self) -> Cell<'static> {
        match self {
            Self::Null => Cell::Null,
            Self::Integer(number) => Cell::Integer(number),
            Self::Real(number) => Cell::Real(number),
            Self::Text(text) => Cell::Text(Cow::Owned(text.into_owned())),
            Self::Bytes(bytes) => Cell::Bytes(Cow::Owned(bytes.into_owned())),
        }
    }

    /// Reads cells, each as in a body; a null has type 0.
    ///
    /// # Errors
    /// [`Code::Corrupt`] when they are none.
    pub fn parse_all(bytes: &'a [u8]) -> Result<Vec<Self>> {
        let mut rest = Rest(bytes);
        let mut cells = Vec::new();
        while !rest.0.is_empty() {
            cells.push(match rest.0 {
                [0, after @ ..] => {
                    rest.0 = after;
                    Self::Null
                }
                _ => rest.cell()?,
            });
        }
        Ok(cells)
    }
}

/// What binds a body to the write that brought it.
pub(super) fn seal(body: &[u8], write_id: u64) -> u64 {
    xxh3_64_with_seed(body, write_id)
}

fn check_length(text: &str, longest: usize, what: &str) -> Result<()> {
    if (1..=longest).contains(&text.len()) {
        return Ok(());
    }
    let message = format!("{what} has {} bytes; accepted are 1 to {longest}", text.len());
    Err(Error::new(Code::InvalidOption, message))
}

fn put_name(body: &mut Vec<u8>, name: &str) -> Result<()> {
    check_length(name, LONGEST.1, "the name of a table or column")?;
    body.push(name.len() as u8);
    body.extend(name.as_bytes());
    Ok(())
}

fn put_long(body: &mut Vec<u8>, text: &str, what: &str) -> Result<()> {
    let length = u32::try_from(text.len()).ok().filter(|length| *length != NO_DESCRIPTION);
    let length =
        length.ok_or_else(|| Error::new(Code::InvalidOption, format!("{what} has {} bytes", text.len())))?;
    body.extend(length.to_le_bytes());
    body.extend(text.as_bytes());
    Ok(())
}

fn put_count(body: &mut Vec<u8>, count: usize, what: &str) -> Result<()> {
    let message = || format!("{count} {what} are too many; accepted are up to {}", u16::MAX);
    let count = u16::try_from(count).map_err(|_| Error::new(Code::InvalidOption, message()))?;
    body.extend(count.to_le_bytes());
    Ok(())
}

/// What could not have been written was not.
fn within(text: Cow<'_, str>, longest: usize) -> Result<Cow<'_, str>> {
    if (1..=longest).contains(&text.len()) { Ok(text) } else { Err(damaged()) }
}

fn damaged() -> Error {
    Error::new(Code::Corrupt, "the tags and metadata of an entry are damaged")
}

/// What is left of a body.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn bytes(&mut self, length: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length).ok_or_else(damaged)?;
        self.0 = rest;
        Ok(head)
    }

    fn word<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut word = [0; N];
        word.copy_from_slice(self.bytes(N)?);
        Ok(word)
    }

    fn u16(&mut self) -> Result<u16> {
        self.word().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        self.word().map(u32::from_le_bytes)
    }

    fn text(&mut self, length: usize) -> Result<Cow<'a, str>> {
        std::str::from_utf8(self.bytes(length)?).map(Cow::Borrowed).map_err(|_| damaged())
    }

    fn name(&mut self) -> Result<Cow<'a, str>> {
        let [length] = self.word()?;
        self.text(length.into()).and_then(|name| within(name, LONGEST.1))
    }

    fn row(&mut self) -> Result<MetaRow<'a>> {
        let table = self.name()?;
        let cells = (0..self.u16()?).map(|_| Ok((self.name()?, self.cell()?))).collect::<Result<_>>()?;
        Ok(MetaRow { table, cells })
    }

    fn cell(&mut self) -> Result<Cell<'a>> {
        match self.word()? {
            [1] => self.word().map(|word| Cell::Integer(i64::from_le_bytes(word))),
            [2] => self.word().map(|word| Cell::Real(f64::from_le_bytes(word))),
            [3] => {
                let length = self.u32()?;
                self.text(length as usize).map(Cell::Text)
            }
            _ => Err(damaged()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cell() -> impl Strategy<Value = Cell<'static>> {
        prop_oneof![
            any::<i64>().prop_map(Cell::Integer),
            (-1e300..1e300).prop_map(Cell::Real),
            any::<String>().prop_map(|text| Cell::Text(text.into())),
        ]
    }

    fn extras() -> impl Strategy<Value = Extras<'static>> {
        let name = "[a-zü\"; ]{1,20}";
        let cells = proptest::collection::vec((name.prop_map(Cow::Owned), cell()), 0..4);
        let row = (name, cells).prop_map(|(table, cells)| MetaRow { table: table.into(), cells });
        let tags = proptest::collection::vec(".{1,40}".prop_map(Cow::Owned), 0..5);
        let description = proptest::option::of(any::<String>().prop_map(Cow::Owned));
        (tags, description, proptest::collection::vec(row, 0..3))
            .prop_map(|(tags, description, meta)| Extras { tags, description, meta })
    }

    proptest! {
        #[test]
        fn a_body_comes_back_as_it_went_in(extras in extras()) {
            let body = extras.to_bytes().unwrap();
            prop_assert_eq!(Extras::parse(&body).unwrap(), extras);
        }

        #[test]
        fn a_body_that_is_cut_or_made_up_is_refused_or_read(bytes: Vec<u8>, extras in extras(), at: proptest::sample::Index) {
            let _ = Extras::parse(&bytes);
            let body = extras.to_bytes().unwrap();
            prop_assert!(Extras::parse(&body[..at.index(body.len())]).is_err());
        }
    }

    #[test]
    fn bytes_are_as_documented() {
        let row = MetaRow {
            table: "runs".into(),
            cells: vec![("n".into(), Cell::Integer(1)), ("gone".into(), Cell::Null)],
        };
        let extras = Extras { tags: vec!["a".into()], description: None, meta: vec![row] };
        let body = b"\xff\xff\xff\xff\x01\0\x01\0a\x01\0\x04runs\x01\0\x01n\x01\x01\0\0\0\0\0\0\0";
        assert_eq!(extras.to_bytes().unwrap(), body);
    }

    #[test]
    fn tags_and_names_have_lengths() {
        let of = |tag: String| Extras { tags: vec![tag.into()], ..Extras::default() };
        for tag in [String::new(), "x".repeat(1025)] {
            assert_eq!(of(tag).to_bytes().unwrap_err().code(), Code::InvalidOption);
        }
        assert!(of("x".repeat(1024)).to_bytes().is_ok());
    }
}
