//! Scans read what they must: counted where the bytes come from.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use bytes::{Buf as _, Bytes};
use parquet::errors::Result as ParquetResult;
use parquet::file::reader::{ChunkReader, Length};
use tierce_columnar::Result;
use tierce_columnar::frames::{Compare, Filter, Scan, scan, to_parquet};

/// Bytes that know how many of them were read.
#[derive(Clone)]
struct Counted {
    bytes: Bytes,
    read: Arc<AtomicU64>,
}

impl Length for Counted {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }
}

impl ChunkReader for Counted {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        let counted = Reading { bytes: self.bytes.slice(start as usize..), read: Arc::clone(&self.read) };
        Ok(Box::new(counted))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        self.read.fetch_add(length as u64, Ordering::Relaxed);
        Ok(self.bytes.slice(start as usize..start as usize + length))
    }
}

struct Reading {
    bytes: Bytes,
    read: Arc<AtomicU64>,
}

impl Read for Reading {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let length = into.len().min(self.bytes.len());
        self.bytes.copy_to_slice(&mut into[..length]);
        self.read.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

const ROWS: i64 = 400_000;

/// Sorted by `id`, so that statistics can rule groups of rows out; the columns are about as large as each other.
fn stored() -> Result<Bytes> {
    let columns: [(&str, ArrayRef); 3] = [
        ("id", Arc::new(Int64Array::from_iter_values(0..ROWS))),
        ("value", Arc::new(Float64Array::from_iter_values((0..ROWS).map(|at| (at as f64).sin())))),
        (
            "text",
            Arc::new(StringArray::from_iter_values(
                (0..ROWS).map(|at| format!("row {}", at * 7919 % 100_003)),
            )),
        ),
    ];
    let batch = RecordBatch::try_from_iter(columns)?;
    Ok(to_parquet(batch.schema(), &[batch])?.into())
}

/// Rows, and the part of the bytes that was read.
fn part(stored: &Bytes, wanted: &Scan) -> Result<(usize, f64)> {
    let bytes = Counted { bytes: stored.clone(), read: Arc::default() };
    let read = Arc::clone(&bytes.read);
    let found = scan(bytes, wanted)?;
    let rows = found.batches.iter().map(RecordBatch::num_rows).sum();
    Ok((rows, read.load(Ordering::Relaxed) as f64 / stored.len() as f64))
}

fn filter(column: &str, compare: Compare, value: i64) -> Filter {
    Filter { column: column.into(), compare, values: Arc::new(Int64Array::from(vec![value])) }
}

#[test]
fn a_scan_reads_the_columns_and_groups_that_it_needs_and_no_other_bytes() -> Result<()> {
    let stored = stored()?;
    let columns = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());

    let (rows, all) = part(&stored, &Scan::default())?;
    assert_eq!(rows, ROWS as usize);
    assert!(all > 0.95, "all of it is {all}");

    let (rows, one) = part(&stored, &Scan { columns: columns(&["value"]), ..Scan::default() })?;
    assert_eq!(rows, ROWS as usize);
    assert!(one < 0.6, "one column of three is {one}");

    // One group of 65,536 rows of seven has such rows.
    let filters = vec![filter("id", Compare::Ge, 10), filter("id", Compare::Lt, 20)];
    let (rows, few) = part(&stored, &Scan { filters: filters.clone(), ..Scan::default() })?;
    assert_eq!(rows, 10);
    assert!(few < 0.25, "one group of seven is {few}");

    let (rows, least) = part(&stored, &Scan { columns: columns(&["id"]), filters, ..Scan::default() })?;
    assert_eq!(rows, 10);
    assert!(least < few / 1.5, "one column of one group is {least}, all of it {few}");

    let none = Scan { filters: vec![filter("id", Compare::Gt, ROWS)], ..Scan::default() };
    let (rows, nothing) = part(&stored, &none)?;
    assert_eq!(rows, 0);
    assert!(nothing < 0.02, "what describes it is {nothing}");
    Ok(())
}
