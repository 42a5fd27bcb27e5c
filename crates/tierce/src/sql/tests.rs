use std::sync::Arc;
use std::thread;

use super::*;

fn open(dir: &tempfile::TempDir) -> Database {
    Database::open(&dir.path().join("a.db"), Duration::from_secs(5)).unwrap()
}

fn sql(sql: &str) -> Step {
    Step::Run { sql: sql.into(), params: Vec::new(), expect: None }
}

fn numbers(table: &Table, at: usize) -> Vec<f64> {
    let column = |batch: &Batch| match &batch.columns[at] {
        Column::Numbers(numbers) => numbers.clone(),
        other => panic!("{other:?}"),
    };
    table.batches.iter().flat_map(column).collect()
}

#[test]
fn a_failing_step_undoes_those_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let database = open(&dir);
    database
        .write(&[sql("CREATE TABLE t (a INTEGER PRIMARY KEY)"), sql("INSERT INTO t VALUES (1)")])
        .unwrap();
    let broken = database.write(&[sql("INSERT INTO t VALUES (2)"), sql("INSERT INTO t VALUES (1)")]);
    assert_eq!(broken.unwrap_err().code(), Code::Query);
    let unexpected =
        Step::Run { sql: "DELETE FROM t WHERE a = 9".into(), params: Vec::new(), expect: Some(1) };
    let broken = database.write(&[sql("INSERT INTO t VALUES (3)"), unexpected]);
    assert_eq!(broken.unwrap_err().code(), Code::Transaction);
    assert_eq!(numbers(&database.query("SELECT a FROM t", &[], None).unwrap(), 0), [1.0]);
}

#[test]
fn columns_go_in_and_come_out_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let database = open(&dir);
    let rows = BATCH_AND_MORE;
    let texts: Vec<String> = (0..rows).map(|row| format!("é{}", row / 3)).collect();
    let mut nulls = vec![0; rows];
    nulls[1] = 1;
    let columns = vec![
        Cells::Integers((0..rows).map(|row| row as f64).collect()),
        Cells::Reals((0..rows).map(|row| if row == 2 { f64::NAN } else { row as f64 / 2.0 }).collect()),
        Cells::joined(texts.join("\0"), rows, nulls),
    ];
    let insert = Step::Each { sql: "INSERT INTO t VALUES (?, ?, ?)".into(), columns };
    let changed =
        database.write(&[sql("CREATE TABLE t (a INTEGER PRIMARY KEY, b REAL, c TEXT) STRICT"), insert]);
    assert_eq!(changed.unwrap(), [0, rows as u64]);
    let table = database.query("SELECT a, b, c, NULL AS d FROM t ORDER BY a", &[], None).unwrap();
    assert_eq!(table.names, ["a", "b", "c", "d"]);
    assert_eq!(numbers(&table, 0), (0..rows).map(|row| row as f64).collect::<Vec<_>>());
    assert!(numbers(&table, 1)[2].is_nan() && numbers(&table, 3)[0].is_nan());
    let mut row = 0;
    for batch in &table.batches {
        let Column::Text { text, spans } = &batch.columns[2] else { panic!("text") };
        let units: Vec<u16> = text.encode_utf16().collect();
        for span in spans.chunks_exact(2) {
            let expected = (row != 1).then(|| texts[row].clone());
            let found = (span[0] <= span[1])
                .then(|| String::from_utf16(&units[span[0] as usize..span[1] as usize]).unwrap());
            assert_eq!(found, expected, "{row}");
            row += 1;
        }
        assert!(units.len() < batch.rows * 3, "repeated texts are there once");
    }
    assert_eq!(row, rows);
}

const BATCH_AND_MORE: usize = (1 << 16) + 1000;

#[test]
fn a_column_of_many_types_keeps_each() {
    let dir = tempfile::tempdir().unwrap();
    let query = "SELECT NULL UNION ALL SELECT 1 UNION ALL SELECT 'é' UNION ALL SELECT x'00ff' UNION ALL SELECT 9223372036854775807";
    let table = open(&dir).query(query, &[], None).unwrap();
    let values = vec![
        Value::Null,
        Value::Integer(1),
        Value::Text("é".into()),
        Value::Blob(vec![0, 255]),
        Value::Integer(i64::MAX),
    ];
    assert_eq!(table.batches[0].columns[0], Column::Mixed(values));
}

#[test]
fn queries_cannot_write_nor_reach_other_files() {
    let dir = tempfile::tempdir().unwrap();
    let database = open(&dir);
    let code = |sql: &str| database.query(sql, &[], None).unwrap_err().code();
    assert_eq!(code("CREATE TABLE t (a)"), Code::ReadOnly);
    assert_eq!(code("SELECT nothing"), Code::Query);
    assert_eq!(code("SELECT 1; SELECT 2"), Code::Query);
    assert_eq!(code("SELECT ?"), Code::Query, "a parameter without a value");
    let attach = format!("ATTACH '{}' AS other", dir.path().join("other.db").display());
    assert_eq!(code(&attach), Code::Query);
    database.close().unwrap();
    assert_eq!(code("SELECT 1"), Code::Closed);
    assert_eq!(database.write(&[]).unwrap_err().code(), Code::Closed);
}

#[test]
fn what_is_no_database_and_what_is_a_caches_own_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text");
    std::fs::write(&text, "not a database, but long enough to have a header of a hundred bytes. ".repeat(4))
        .unwrap();
    let code = |path: &Path| Database::open(path, Duration::ZERO).unwrap_err().code();
    assert_eq!(code(&text), Code::Format);
    assert_eq!(code(&dir.path().join("no/such/folder.db")), Code::Unavailable);
    drop(crate::Cache::builder().open(dir.path().join("cache")).unwrap());
    assert_eq!(code(&dir.path().join("cache/tierce.db")), Code::Format);
}

#[test]
fn a_cancelled_query_ends() {
    let dir = tempfile::tempdir().unwrap();
    let database = Arc::new(open(&dir));
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n";
    let cancel = Arc::new(Cancel::default());
    let running = thread::spawn({
        let (database, cancel) = (Arc::clone(&database), Arc::clone(&cancel));
        move || database.query(endless, &[], Some(&cancel)).unwrap_err().code()
    });
    thread::sleep(Duration::from_millis(30));
    cancel.cancel();
    assert_eq!(running.join().unwrap(), Code::Timeout);
    assert_eq!(database.query("SELECT 1", &[], Some(&cancel)).unwrap_err().code(), Code::Timeout);
    assert!(database.query("SELECT 1", &[], None).is_ok());
}

#[test]
fn four_threads_with_a_connection_each_lose_no_row() {
    let dir = tempfile::tempdir().unwrap();
    open(&dir).write(&[sql("CREATE TABLE t (a INTEGER)")]).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let database = open(&dir);
                for row in 0..50 {
                    let insert = Step::Run {
                        sql: "INSERT INTO t VALUES (?)".into(),
                        params: vec![Value::Integer(row)],
                        expect: Some(1),
                    };
                    database.write(&[insert]).unwrap();
                    database.query("SELECT count(*) FROM t", &[], None).unwrap();
                }
            });
        }
    });
    assert_eq!(numbers(&open(&dir).query("SELECT count(*) FROM t", &[], None).unwrap(), 0), [200.0]);
}

#[test]
fn a_new_file_may_be_opened_by_many_at_once() {
    for _ in 0..500 {
        let dir = tempfile::tempdir().unwrap();
        let gate = std::sync::Barrier::new(4);
        thread::scope(|scope| {
            let openers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        gate.wait();
                        open(&dir).write(&[sql("CREATE TABLE IF NOT EXISTS t (a)")]).unwrap();
                    })
                })
                .collect();
            openers.into_iter().for_each(|opener| opener.join().unwrap());
        });
    }
}
