//! Queries in SQL, and how their answers cross: `src/tiers/answer.ts` is the other end.
//!
//! An answer, little-endian: columns, rows, 1 where the text is ASCII, bytes of text as `u32`, a hash of the columns as `f64`,
//! and 1 where they follow as `u32`: they do not where the asker knows them by their hash; 0 `u32`. Of each column its type `u8` (0: none, else its place
//! in [`TYPES`] and one), length `u16` and name; of each cell its kind `u8` (0 null, 1 number, 2 text, 3 whole number that is
//! not safe, 4 bytes) and 8 bytes: `f64`, length in UTF-16 units as `f64`, `i64`, or length as `f64`; then the text of all, then the
//! bytes of all.

use std::cell::RefCell;

use napi::Env;
use napi::bindgen_prelude::{Buffer, Either, Function, FunctionCallContext, Uint8Array};
use napi_derive::napi;
use tierce::{AnswerSink, Cell, ColumnType, Digest, Result, Wait};
use tierce_napi::{Work, guard, job};

use super::{NativeDisk, Open};
use crate::wire::Reader;

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
/// Bytes before the columns.
const HEAD: usize = 32;
/// `ask`: it takes long.
const LONG: i32 = -1;
/// Bytes that a packer keeps for the next answer.
const KEPT: usize = 1 << 20;

/// What an `ask` gives: the length of the answer in the inbox, or one that does not fit there.
type Asked = Either<i32, Buffer>;

#[napi]
impl NativeDisk {
    /// Gives the function that answers a query on the calling thread: `sql`, with the parameters in `inbox[0, length)`, and the
    /// hash of the columns that are known. It gives the length of the answer in the inbox, an answer that does not fit there,
    /// or -1 where it would take long. No method: see `fetcher`.
    #[napi(ts_return_type = "(sql: string, length: number, known: number, now: number) => number | Buffer")]
    pub fn asker<'env>(
        &self,
        env: &'env Env,
    ) -> napi::Result<Function<'env, (String, u32, f64, f64), Asked>> {
        let open = self.open();
        let packer = RefCell::new(Packer::default());
        env.create_function_from_closure("ask", move |call: FunctionCallContext<'_>| {
            let (sql, length, known, now) = (call.get(0)?, call.get(1)?, call.get(2)?, call.get(3)?);
            guard(call.env, || open.ask(sql, (length, known, now), &mut packer.borrow_mut()))
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
            let mut packer = Packer::default();
            cache.query_into(&sql, &Cell::parse_all(&params)?, Wait::Yes, false, &mut packer)?;
            Ok(packer.packed())
        };
        Ok(job(run, |_, answer| Ok(answer.into())))
    }
}

impl Open {
    fn ask(&self, sql: String, (length, known, now): (u32, f64, f64), packer: &mut Packer) -> Result<Asked> {
        let cache = self.at(now)?;
        self.inbox().with(|bytes| {
            packer.known = known;
            let params = Cell::parse_all(Reader(bytes).bytes(length as usize)?)?;
            if !cache.query_into(&sql, &params, Wait::No, true, packer)? {
                return Ok(Either::A(LONG));
            }
            let length = packer.len();
            Ok(match bytes.get_mut(..length) {
                Some(room) => {
                    packer.put(room);
                    Either::A(length as i32)
                }
                None => Either::B(packer.packed().into()),
            })
        })
    }
}

/// An answer as it is found.
#[derive(Default)]
struct Packer {
    /// Hash of the columns that need not be said again.
    known: f64,
    hash: f64,
    width: usize,
    columns: Vec<u8>,
    cells: Vec<u8>,
    text: Vec<u8>,
    bytes: Vec<u8>,
    is_not_ascii: bool,
}

impl AnswerSink for Packer {
    fn columns(&mut self, columns: &mut dyn Iterator<Item = (&str, Option<ColumnType>)>) {
        for part in [&mut self.columns, &mut self.cells, &mut self.text, &mut self.bytes] {
            part.clear();
            part.shrink_to(KEPT);
        }
        (self.width, self.is_not_ascii) = (0, false);
        for (name, column_type) in columns {
            self.width += 1;
            let place = column_type.and_then(|known| TYPES.iter().position(|other| *other == known));
            self.columns.push(place.map_or(0, |place| place as u8 + 1));
            let name = &name.as_bytes()[..name.len().min(u16::MAX.into())];
            self.columns.extend((name.len() as u16).to_le_bytes());
            self.columns.extend(name);
        }
        self.hash = (Digest::of(&self.columns).id() as u64 >> 12) as f64; // a whole number, exactly
    }

    fn cell(&mut self, cell: Cell<'_>) {
        let (kind, word) = match cell {
            Cell::Null => (0, [0; 8]),
            Cell::Integer(number) if SAFE.contains(&number) => (1, (number as f64).to_le_bytes()),
            Cell::Integer(number) => (3, number.to_le_bytes()),
            Cell::Real(number) => (1, number.to_le_bytes()),
            Cell::Text(text) => {
                self.text.extend(text.as_bytes());
                let units = if text.is_ascii() {
                    text.len()
                } else {
                    self.is_not_ascii = true;
                    text.encode_utf16().count()
                };
                (2, (units as f64).to_le_bytes())
            }
            Cell::Bytes(bytes) => {
                self.bytes.extend(&*bytes);
                (4, (bytes.len() as f64).to_le_bytes())
            }
        };
        let [a, b, c, d, e, f, g, h] = word;
        self.cells.extend([kind, a, b, c, d, e, f, g, h]);
    }
}

impl Packer {
    fn parts(&self) -> [&[u8]; 4] {
        let columns: &[u8] = if self.hash == self.known { &[] } else { &self.columns };
        [columns, &self.cells, &self.text, &self.bytes]
    }

    fn len(&self) -> usize {
        HEAD + self.parts().iter().map(|part| part.len()).sum::<usize>()
    }

    /// Writes the answer into its place.
    fn put(&self, mut room: &mut [u8]) {
        let rows = self.cells.len() / (9 * self.width.max(1));
        let counts = [self.width, rows, usize::from(!self.is_not_ascii), self.text.len()];
        let mut head = [0; HEAD];
        for (at, count) in counts.into_iter().enumerate() {
            head[4 * at..4 * at + 4].copy_from_slice(&(count as u32).to_le_bytes());
        }
        head[16..24].copy_from_slice(&self.hash.to_le_bytes());
        head[24] = (self.hash != self.known).into();
        for part in [&head[..]].into_iter().chain(self.parts()) {
            let (own, rest) = room.split_at_mut(part.len());
            own.copy_from_slice(part);
            room = rest;
        }
    }

    fn packed(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len()];
        self.put(&mut bytes);
        bytes
    }
}
