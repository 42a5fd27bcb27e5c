//! Queries in SQL, and how their answers cross: `src/tiers/answer.ts` is the other end.
//!
//! An answer, little-endian: columns, rows, 1 where the text is ASCII, bytes of text as `u32`; of each column its type `u8`
//! (0: none, else its place in [`TYPES`] and one), length `u16` and name; of each cell its kind `u8` (0 null, 1 number, 2 text,
//! 3 whole number that is not safe) and 8 bytes: `f64`, length in UTF-16 units as `f64`, or `i64`; then the text of all.

use napi::Env;
use napi::bindgen_prelude::{Buffer, Uint8Array};
use napi_derive::napi;
use tierce::{Answer, Cell, ColumnType, Result, Wait};
use tierce_napi::{Work, guard, job};

use crate::disk::NativeDisk;

const TYPES: [ColumnType; 7] = [
    ColumnType::Text,
    ColumnType::Integer,
    ColumnType::Double,
    ColumnType::Boolean,
    ColumnType::Date,
    ColumnType::Timestamp,
    ColumnType::Json,
];
const SAFE: std::ops::RangeInclusive<i64> = -((1 << 53) - 1)..=(1 << 53) - 1;

#[napi]
impl NativeDisk {
    /// Answers a query on the calling thread; null where it would take long.
    #[napi]
    pub fn query_now(
        &self,
        env: &Env,
        sql: String,
        params: Uint8Array,
        now: f64,
    ) -> napi::Result<Option<Buffer>> {
        guard(env, || {
            let answer = self.at(now)?.query(&sql, &Cell::parse_all(&params)?, Wait::No)?;
            Ok(answer.as_ref().map(packed).map(Buffer::from))
        })
    }

    /// Answers a query on the thread pool.
    #[napi(ts_return_type = "Promise<Buffer>")]
    pub fn query(
        &self,
        env: &Env,
        sql: String,
        params: Uint8Array,
        now: f64,
    ) -> napi::Result<Work<Vec<u8>, Buffer>> {
        let cache = guard(env, || self.at(now))?;
        let run = move || -> Result<Vec<u8>> {
            let answer = cache.query(&sql, &Cell::parse_all(&params)?, Wait::Yes)?;
            Ok(packed(&answer.unwrap_or_default()))
        };
        Ok(job(run, |_, answer| Ok(answer.into())))
    }
}

fn packed(answer: &Answer) -> Vec<u8> {
    let (columns, cells) = (&answer.columns, &answer.cells);
    let texts = cells.iter().filter_map(|cell| if let Cell::Text(text) = cell { Some(text) } else { None });
    let (length, is_ascii) = texts
        .clone()
        .fold((0, true), |(length, ascii), text| (length + text.len(), ascii && text.is_ascii()));
    let rows = cells.len() / columns.len().max(1);
    let mut bytes = Vec::with_capacity(16 + 64 * columns.len() + 9 * cells.len() + length);
    for number in [columns.len(), rows, usize::from(is_ascii), length] {
        bytes.extend((number as u32).to_le_bytes());
    }
    for column in columns {
        let place = column.column_type.and_then(|known| TYPES.iter().position(|other| *other == known));
        bytes.push(place.map_or(0, |place| place as u8 + 1));
        let name = &column.name.as_bytes()[..column.name.len().min(u16::MAX.into())];
        bytes.extend((name.len() as u16).to_le_bytes());
        bytes.extend(name);
    }
    for cell in cells {
        let (kind, word) = match cell {
            Cell::Null => (0, [0; 8]),
            Cell::Integer(number) if SAFE.contains(number) => (1, (*number as f64).to_le_bytes()),
            Cell::Integer(number) => (3, number.to_le_bytes()),
            Cell::Real(number) => (1, number.to_le_bytes()),
            Cell::Text(text) => {
                let units = if is_ascii { text.len() } else { text.encode_utf16().count() };
                (2, (units as f64).to_le_bytes())
            }
        };
        bytes.push(kind);
        bytes.extend(word);
    }
    texts.for_each(|text| bytes.extend(text.as_bytes()));
    bytes
}
