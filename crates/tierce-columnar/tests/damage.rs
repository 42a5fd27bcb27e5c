//! Stored frames with bytes changed, cut and put in: read, or a typed error; in memory of the order of what is stored. One test, so that
//! nothing else allocates meanwhile.
#![allow(unsafe_code, reason = "an allocator that counts")]

#[path = "../../tierce/tests/common/counting.rs"]
mod counting;

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray};
use bytes::Bytes;
use tierce_columnar::frames::{Compare, Filter, Scan, scan, to_parquet};
use tierce_columnar::{Kind, Result, ipc};

const ROWS: i64 = 500;
/// Changes that are tried of each kind of bytes.
const ROUNDS: u64 = 3000;
/// A frame of some kilobytes that a damaged length makes larger is still no reason to take more.
const MOST: usize = 64 << 20;

fn batch() -> Result<RecordBatch> {
    let lists = (0..ROWS).map(|at| (at % 3 != 0).then(|| vec![Some(at as i32), None]));
    let columns: [(&str, ArrayRef); 6] = [
        ("id", Arc::new(Int64Array::from_iter_values(0..ROWS))),
        (
            "value",
            Arc::new(Float64Array::from_iter((0..ROWS).map(|at| (at % 7 != 0).then(|| (at as f64).sin())))),
        ),
        (
            "text",
            Arc::new(StringArray::from_iter_values((0..ROWS).map(|at| format!("row {}", at * 7919 % 503)))),
        ),
        (
            "class",
            Arc::new(StringArray::from_iter_values(
                (0..ROWS).map(|at| ["a", "b", "long class"][at as usize % 3]),
            )),
        ),
        ("flag", Arc::new(BooleanArray::from_iter((0..ROWS).map(|at| Some(at % 2 == 0))))),
        ("list", Arc::new(ListArray::from_iter_primitive::<arrow_array::types::Int32Type, _, _>(lists))),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}

/// A generator of numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }
}

/// One to four changes; half of the time where the description of a frame is, at its end.
fn changed(sound: &[u8], seed: u64) -> Vec<u8> {
    let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut bytes = sound.to_vec();
    for _ in 0..=numbers.below(4) {
        let tail = bytes.len().min(1500);
        let at = match numbers.below(2) {
            0 => bytes.len() - 1 - numbers.below(tail),
            _ => numbers.below(bytes.len()),
        };
        let byte = [0, 1, 0x7f, 0x80, 0xff, numbers.below(256) as u8][numbers.below(6)];
        match numbers.below(8) {
            0 => bytes.insert(at, byte),
            1 => drop(bytes.remove(at)),
            2 => bytes.truncate(at.max(16)),
            _ => bytes[at] = byte,
        }
    }
    bytes
}

/// Runs a reader on damaged bytes; gives how often it read and how often it refused.
fn damage(sound: &[u8], read: impl Fn(Vec<u8>) -> Result<usize>) -> (usize, usize) {
    let (mut answers, mut refusals) = (0, 0);
    for seed in 1..=ROUNDS {
        let bytes = changed(sound, seed);
        let mut outcome = None;
        let peak = counting::peak_of(|| outcome = Some(read(bytes)));
        assert!(peak < MOST, "{peak} bytes were taken for damage {seed}");
        match outcome {
            Some(Ok(_)) => answers += 1,
            Some(Err(error)) => {
                assert!(
                    matches!(error.kind(), Kind::Corrupt | Kind::Invalid | Kind::Query),
                    "{seed}: {error:?}"
                );
                refusals += 1;
            }
            None => unreachable!("it was run"),
        }
    }
    (answers, refusals)
}

fn rows(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

#[test]
fn damaged_frames_and_batches_are_read_or_refused_in_bounded_memory() -> Result<()> {
    let batch = batch()?;
    let sound = to_parquet(batch.schema(), std::slice::from_ref(&batch))?;
    let some = Scan {
        columns: Some(vec!["text".into(), "list".into()]),
        filters: vec![Filter {
            column: "id".into(),
            compare: Compare::Ge,
            values: Arc::new(Int64Array::from(vec![100])),
        }],
        limit: Some(50),
    };
    for wanted in [Scan::default(), some] {
        let (answers, refusals) =
            damage(&sound, |bytes| Ok(rows(&scan(Bytes::from(bytes), &wanted)?.batches)));
        assert!(answers > 0 && refusals > ROUNDS as usize / 10, "{answers} answers, {refusals} refusals");
    }
    let sound = ipc::write(&batch.schema(), &[batch])?;
    let (answers, refusals) = damage(&sound, |bytes| Ok(rows(&ipc::read(&bytes)?.1)));
    assert!(answers > 0 && refusals > 0, "{answers} answers, {refusals} refusals");
    Ok(())
}
