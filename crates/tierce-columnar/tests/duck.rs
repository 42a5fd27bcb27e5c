//! DuckDB as the crate's users meet it.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use tierce_columnar::duck::{Engine, Options};
use tierce_columnar::{Error, Kind, Result};

fn batch(rows: i64) -> Result<RecordBatch> {
    let columns: [(&str, ArrayRef); 3] = [
        ("id", Arc::new(Int64Array::from_iter_values(0..rows))),
        ("half", Arc::new(Float64Array::from_iter_values((0..rows).map(|at| at as f64 / 2.0)))),
        (
            "name",
            Arc::new(StringArray::from_iter((0..rows).map(|at| (at % 3 != 0).then(|| format!("n{at}"))))),
        ),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}

#[test]
fn arrow_batches_are_read_in_any_order_of_columns() -> Result<()> {
    let connection = Engine::in_memory(&Options::default())?.connect()?;
    let given = batch(10_000)?;
    let result = connection.with_batches("source", given.schema(), [given.clone(), given], || {
        connection.run("CREATE TABLE t AS SELECT name, id FROM source WHERE id >= 10")?;
        connection.query("SELECT count(*)::BIGINT, sum(id)::BIGINT, count(name)::BIGINT FROM t", None)
    })?;
    let numbers: Vec<i64> =
        (0..3).map(|at| result.batches[0].column(at).as_primitive::<Int64Type>().value(0)).collect();
    assert_eq!(numbers, [19_980, 2 * (9_999 * 10_000 / 2 - 45), 2 * (6_666 - 6)]);
    // Nothing of the view stays.
    assert!(connection.query("SELECT * FROM source", None).is_err());
    assert_eq!(connection.query("FROM duckdb_views() WHERE NOT internal", None)?.rows(), 0);
    Ok(())
}

#[test]
fn the_view_of_batches_is_seen_by_its_connection_alone() -> Result<()> {
    let engine = Engine::in_memory(&Options::default())?;
    let (connection, other) = (engine.connect()?, engine.connect()?);
    let given = batch(3)?;
    connection.with_batches("source", given.schema(), [given], || {
        assert!(other.query("SELECT * FROM source", None).is_err());
        Ok(())
    })
}

#[test]
fn many_connections_read_their_own_batches_at_once() -> Result<()> {
    let engine = Engine::in_memory(&Options::default())?;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (1..9)
            .map(|rows| {
                let engine = &engine;
                scope.spawn(move || -> Result<()> {
                    let connection = engine.connect()?;
                    for _ in 0..20 {
                        let given = batch(rows)?;
                        let found = connection.with_batches("given", given.schema(), [given], || {
                            connection.query("SELECT name FROM given WHERE half >= 0", None)
                        })?;
                        assert_eq!(found.rows() as i64, rows);
                    }
                    Ok(())
                })
            })
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| Error::new(Kind::Internal, "a panic"))?)
    })
}

#[test]
fn parameters_are_bound_by_name_and_by_place() -> Result<()> {
    let connection = Engine::in_memory(&Options::default())?.connect()?;
    let row = RecordBatch::try_from_iter([
        ("1", Arc::new(Float64Array::from(vec![1.5])) as ArrayRef),
        ("2", Arc::new(StringArray::from(vec!["x'; DROP TABLE t; --"])) as ArrayRef),
    ])?;
    let result = connection.query("SELECT ? + 1 AS a, ? AS b", Some(&row))?;
    assert_eq!(result.batches[0].column(0).as_primitive::<Float64Type>().value(0), 2.5);
    assert_eq!(result.batches[0].column(1).as_string::<i32>().value(0), "x'; DROP TABLE t; --");
    let missing = connection.query("SELECT $c", Some(&row)).expect_err("other parameters");
    assert_eq!(missing.kind(), Kind::Query);
    Ok(())
}

#[test]
fn two_handles_of_one_file_share_the_engine_by_whatever_path() -> Result<()> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("a.duckdb");
    let first = Engine::open(&path, &Options::default())?;
    first.connect()?.run("CREATE TABLE t AS SELECT 42 AS a")?;
    std::os::unix::fs::symlink(&path, dir.path().join("b.duckdb")).expect("a link");
    let second = Engine::open(dir.path().join("b.duckdb"), &Options::default())?;
    assert_eq!(second.connect()?.query("FROM t", None)?.rows(), 1);
    assert_eq!(first.holders(), 2);
    drop((first, second));
    let again = Engine::open(&path, &Options::default())?;
    assert_eq!((again.holders(), again.connect()?.query("FROM t", None)?.rows()), (1, 1));
    Ok(())
}

#[test]
fn an_interrupted_statement_says_so_and_the_connection_goes_on() -> Result<()> {
    let connection = Arc::new(Engine::in_memory(&Options::default())?.connect()?);
    let other = Arc::clone(&connection);
    let running = std::thread::spawn(move || {
        other.query("SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b", None)
    });
    while !running.is_finished() {
        connection.interrupt();
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let error = running.join().expect("no panic").expect_err("interrupted");
    assert_eq!(error.kind(), Kind::Interrupted);
    assert_eq!(connection.query("SELECT 1", None)?.rows(), 1);
    Ok(())
}
