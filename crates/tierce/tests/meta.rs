//! Custom metadata: tables that a cache declares, rows that come and go with entries, queries that only read.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{database, noise, temp};
use tierce::{
    Answer, Cache, Cell, Code, ColumnType, Error, ManualClock, MetaColumn, MetaRow, MetaTable, SetOptions,
    Wait,
};

fn column(name: &str, column_type: ColumnType) -> MetaColumn {
    MetaColumn { name: name.into(), column_type, is_not_null: false, is_unique: false, is_indexed: false }
}

fn runs() -> MetaTable {
    MetaTable {
        name: "runs".into(),
        columns: vec![
            MetaColumn { is_indexed: true, ..column("accuracy", ColumnType::Double) },
            MetaColumn { is_unique: true, ..column("name", ColumnType::Text) },
            MetaColumn { is_not_null: true, ..column("seed", ColumnType::Integer) },
        ],
    }
}

fn open_with(dir: &Path, tables: impl IntoIterator<Item = MetaTable>) -> Result<Cache, Error> {
    Cache::builder().meta(tables).open(dir)
}

fn run(accuracy: f64, name: Option<&str>, seed: i64) -> MetaRow<'static> {
    let name = name.map_or(Cell::Null, |name| Cell::Text(name.to_owned().into()));
    MetaRow {
        table: "runs".into(),
        cells: vec![
            ("accuracy".into(), Cell::Real(accuracy)),
            ("name".into(), name),
            ("seed".into(), Cell::Integer(seed)),
        ],
    }
}

fn set(cache: &Cache, key: &str, row: MetaRow<'_>) -> Result<(), Error> {
    cache.set_with(key, b"v", &SetOptions { meta: &[row], ..SetOptions::default() })
}

fn ask(cache: &Cache, sql: &str, params: &[Cell<'_>]) -> Result<Answer, Error> {
    cache.query(sql, params, Wait::Yes).map(Option::unwrap)
}

fn texts(answer: &Answer) -> Vec<&str> {
    answer.cells.iter().map(|cell| if let Cell::Text(text) = cell { text.as_ref() } else { "?" }).collect()
}

fn count(dir: &Path, table: &str) -> i64 {
    database(dir).query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn entries_are_found_by_their_rows_also_after_reopening() {
    let temp = temp();
    let dir = temp.path().join("cache");
    let cache = open_with(&dir, [runs()]).unwrap();
    for i in 0..10 {
        set(&cache, &format!("k{i}"), run(f64::from(i) / 10.0, Some(&format!("n{i}")), i.into())).unwrap();
    }
    cache.close().unwrap();
    let cache = open_with(&dir, [runs()]).unwrap();
    let sql = "SELECT key FROM runs WHERE accuracy >= ? ORDER BY accuracy";
    assert_eq!(texts(&ask(&cache, sql, &[Cell::Real(0.75)]).unwrap()), ["k8", "k9"]);
    let entry = cache.entry("k3").unwrap().unwrap();
    assert_eq!(entry.extras.meta, [run(0.3, Some("n3"), 3)]);
    let columns = ask(&cache, "SELECT accuracy, name, seed + 1 AS more FROM runs", &[]).unwrap().columns;
    let types: Vec<_> = columns.iter().map(|column| column.column_type).collect();
    assert_eq!(types, [Some(ColumnType::Double), Some(ColumnType::Text), None]);
}

#[test]
fn whatever_removes_an_entry_removes_its_rows() {
    let temp = temp();
    let dir = temp.path().join("cache");
    let cache = open_with(&dir, [runs()]).unwrap();
    set(&cache, "a", run(0.1, Some("x"), 1)).unwrap();
    set(&cache, "a", run(0.2, Some("x"), 1)).unwrap(); // its own unique value is free
    assert_eq!(count(&dir, "meta_runs"), 1);
    cache.delete("a").unwrap();
    set(&cache, "b", run(0.1, Some("x"), 1)).unwrap();
    cache.set("b", b"w").unwrap();
    assert_eq!(cache.len().unwrap(), 1); // moves it out of the journal
    assert_eq!(count(&dir, "meta_runs"), 0);
    set(&cache, "c", run(0.1, Some("x"), 1)).unwrap();
    // One that declares nothing removes them too.
    let other = common::open(&dir);
    other.delete("c").unwrap();
    assert_eq!((count(&dir, "meta_runs"), count(&dir, "extras")), (0, 0));
    set(&cache, "d", run(0.1, Some("x"), 1)).unwrap();
    other.clear().unwrap();
    assert_eq!((count(&dir, "meta_runs"), count(&dir, "extras")), (0, 0));
    set(&cache, "e", run(0.1, Some("x"), 1)).unwrap();
}

#[test]
fn a_violation_names_table_column_and_value_and_stores_nothing() {
    let temp = temp();
    let dir = temp.path().join("cache");
    let cache = open_with(&dir, [runs()]).unwrap();
    set(&cache, "a", run(0.1, Some("taken"), 1)).unwrap();
    let unique = set(&cache, "b", run(0.2, Some("taken"), 2)).unwrap_err();
    let mut missing = run(0.2, Some("free"), 2);
    missing.cells.pop();
    let missing = set(&cache, "b", missing).unwrap_err();
    for (fault, column) in [(&unique, "name"), (&missing, "seed")] {
        assert_eq!(fault.code(), Code::Constraint);
        let said =
            |name| fault.context().iter().find(|(known, _)| *known == name).map(|(_, said)| said.as_str());
        assert_eq!((said("table"), said("column")), (Some("runs"), Some(column)));
        assert!(said("value").is_some());
    }
    assert!(unique.context().contains(&("value", "taken".into())));
    assert!(!cache.has("b").unwrap());
    assert_eq!((count(&dir, "meta_runs"), count(&dir, "extras"), count(&dir, "entries")), (1, 1, 1));
    set(&cache, "c", run(0.2, None, 2)).unwrap();
    set(&cache, "d", run(0.2, None, 2)).unwrap(); // nulls are no equals
}

#[test]
fn a_unique_value_of_an_expired_entry_is_free() {
    let temp = temp();
    let dir = temp.path().join("cache");
    let clock = Arc::new(ManualClock::new(1_000));
    let cache = Cache::builder().meta([runs()]).clock(clock.clone()).open(&dir).unwrap();
    let meta = [run(0.1, Some("x"), 1)];
    let ttl = Some(Duration::from_millis(10));
    cache.set_with("old", b"v", &SetOptions { ttl, meta: &meta, ..SetOptions::default() }).unwrap();
    clock.set(2_000);
    assert!(ask(&cache, "SELECT key FROM runs", &[]).unwrap().cells.is_empty());
    set(&cache, "new", run(0.2, Some("x"), 2)).unwrap();
    assert_eq!(texts(&ask(&cache, "SELECT key FROM runs", &[]).unwrap()), ["new"]);
    assert_eq!(count(&dir, "entries"), 1);
}

#[test]
fn what_does_not_fit_is_refused() {
    let temp = temp();
    let cache = open_with(&temp.path().join("cache"), [runs()]).unwrap();
    let row = |table: &'static str, name: &'static str, cell: Cell<'static>| MetaRow {
        table: table.into(),
        cells: vec![("seed".into(), Cell::Integer(1)), (name.into(), cell)],
    };
    for bad in [
        row("other", "accuracy", Cell::Real(1.0)),
        row("runs", "other", Cell::Real(1.0)),
        row("runs", "accuracy", Cell::Text("1".into())),
        row("runs", "accuracy", Cell::Real(f64::NAN)),
        row("runs", "name", Cell::Integer(1)),
        row("runs", "name", Cell::Bytes([1, 2].as_slice().into())),
    ] {
        assert_eq!(set(&cache, "a", bad.clone()).unwrap_err().code(), Code::InvalidOption, "{bad:?}");
    }
    let sidecar = Cache::builder().open_sidecar(temp.path().join("sidecar")).unwrap();
    let meta = [row("runs", "name", Cell::Bytes([1, 2].as_slice().into()))];
    let fault =
        sidecar.set_with("a", b"v", &SetOptions { meta: &meta, ..SetOptions::default() }).unwrap_err();
    assert_eq!((fault.code(), sidecar.has("a").unwrap()), (Code::InvalidOption, false));
    assert!(cache.is_empty().unwrap());
    set(&cache, "a", row("runs", "accuracy", Cell::Integer(1))).unwrap(); // a whole number is a number
}

#[test]
fn later_caches_may_add_columns_and_indexes_and_nothing_else() {
    let temp = temp();
    let dir = temp.path().join("cache");
    let first = open_with(&dir, [runs()]).unwrap();
    set(&first, "a", run(0.5, Some("x"), 1)).unwrap();
    let mut more = runs();
    more.columns[2].is_indexed = true;
    more.columns.push(MetaColumn { is_unique: true, ..column("note", ColumnType::Text) });
    let second = open_with(&dir, [more.clone()]).unwrap();
    let found = ask(&second, "SELECT key, note FROM runs WHERE seed = 1", &[]).unwrap();
    assert_eq!(found.cells, [Cell::Text("a".into()), Cell::Null]);
    set(&first, "b", run(0.6, Some("y"), 2)).unwrap(); // the older one goes on
    drop(open_with(&dir, [runs()]).unwrap()); // fewer columns, no conflict
    assert_eq!(ask(&second, "SELECT key FROM runs", &[]).unwrap().cells.len(), 2);

    let refused: [&dyn Fn(&mut MetaTable); 7] = [
        &|table| table.columns[0].column_type = ColumnType::Text,
        &|table| table.columns[0].is_unique = true,
        &|table| table.columns[0].is_not_null = true,
        &|table| table.columns[2].is_not_null = false,
        &|table| drop(table.columns.pop()),
        &|table| table.columns[0].name = "ACCURACY".into(),
        &|table| table.columns.push(MetaColumn { is_not_null: true, ..column("must", ColumnType::Text) }),
    ];
    for (at, change) in refused.into_iter().enumerate() {
        let mut table = runs();
        change(&mut table);
        let fault = open_with(&dir, [table]).unwrap_err();
        assert_eq!(fault.code(), Code::InvalidOption, "change {at}");
        assert!(fault.context().iter().any(|(name, _)| *name == "column"), "change {at}: {fault}");
    }
    let mut renamed = runs();
    renamed.name = "Runs".into();
    assert_eq!(open_with(&dir, [renamed]).unwrap_err().code(), Code::InvalidOption);
    assert_eq!(ask(&second, "SELECT key FROM runs", &[]).unwrap().cells.len(), 2, "nothing changed");
}

#[test]
fn names_are_quoted_and_those_that_are_taken_refused() {
    let temp = temp();
    let dir = temp.path().join("cache");
    let name = "a\"; DROP TABLE entries; --";
    let table = MetaTable { name: name.into(), columns: vec![column("x\"y'z", ColumnType::Text)] };
    let cache = open_with(&dir, [table]).unwrap();
    let cells = vec![("x\"y'z".into(), Cell::Text("'); DROP TABLE entries; --".into()))];
    set(&cache, "k", MetaRow { table: name.into(), cells }).unwrap();
    let sql = r#"SELECT "x""y'z" FROM "a""; DROP TABLE entries; --""#;
    assert_eq!(texts(&ask(&cache, sql, &[]).unwrap()), ["'); DROP TABLE entries; --"]);
    cache.delete("k").unwrap();
    for (table, taken) in
        [("entries", "a"), ("Tags", "a"), ("sqlite_x", "a"), ("t", "KEY"), ("t", ""), ("", "a")]
    {
        let table = MetaTable { name: table.into(), columns: vec![column(taken, ColumnType::Text)] };
        assert_eq!(open_with(&dir, [table]).unwrap_err().code(), Code::InvalidOption);
    }
}

#[test]
fn a_query_reads_what_it_is_shown_and_nothing_else() {
    let temp = temp();
    let dir = temp.path().join("cache");
    let cache = open_with(&dir, [runs()]).unwrap();
    set(&cache, "a", run(0.1, Some("x"), 1)).unwrap();
    for sql in [
        "DELETE FROM runs",
        "DELETE FROM main.entries",
        "INSERT INTO main.tags VALUES ('t', 1)",
        "UPDATE main.facts SET value = 0",
        "DROP TABLE main.entries",
        "CREATE TABLE t (x)",
        "CREATE TEMP TABLE t (x)",
        "ATTACH '/tmp/values-attached.db' AS other",
        "PRAGMA query_only = OFF",
        "PRAGMA journal_mode",
        "VACUUM INTO '/tmp/values-vacuumed.db'",
        "BEGIN",
        "SAVEPOINT s",
        "REINDEX",
        "ANALYZE",
        "SELECT frame FROM main.entries",
        "SELECT * FROM main.meta_runs",
        "SELECT * FROM extras",
        "SELECT * FROM sqlite_schema",
        "SELECT * FROM pragma_table_info('entries')",
        "SELECT load_extension('x')",
        "SELECT count(*) FROM main.entries",
        "WITH x AS (SELECT frame FROM main.entries) SELECT * FROM x",
        "WITH entries AS (SELECT frame FROM main.entries) SELECT * FROM entries",
        "WITH runs AS MATERIALIZED (SELECT body FROM extras) SELECT * FROM runs",
        "WITH x AS (SELECT sql FROM sqlite_temp_schema) SELECT * FROM x",
        "WITH x AS (SELECT 1) DELETE FROM main.facts",
        "SELECT * FROM tierce_keys WHERE key = 'a'",
    ] {
        let fault = ask(&cache, sql, &[]).unwrap_err();
        assert_eq!(fault.code(), Code::ReadOnly, "{sql}: {fault}");
    }
    for sql in [
        "",
        ";",
        "SELEC",
        "SELECT nothing FROM runs",
        "SELECT * FROM nothing",
        "SELECT 1; SELECT 2",
        "SELECT 1 \0; DELETE FROM runs",
        "SELECT ?",
    ] {
        let fault = ask(&cache, sql, &[]).unwrap_err();
        assert_eq!(fault.code(), Code::InvalidOption, "{sql}: {fault}");
    }
    assert!(!Path::new("/tmp/values-attached.db").exists());
    assert_eq!((count(&dir, "entries"), count(&dir, "meta_runs")), (1, 1));
    for sql in [
        "SELECT count(*) FROM runs",
        "SELECT count(*) FROM entries;",
        "SELECT count(*) FROM runs r JOIN entries e USING (key) ; ",
        "WITH runs AS (SELECT key FROM entries) SELECT count(*) FROM runs",
        "WITH RECURSIVE n AS (SELECT 1 UNION SELECT 1 FROM n, runs) SELECT count(*) FROM n",
        "SELECT value FROM runs, json_each('[1]')",
    ] {
        assert_eq!(ask(&cache, sql, &[]).unwrap().cells, [Cell::Integer(1)], "{sql}");
    }
}

#[test]
fn tags_and_facts_of_live_entries_can_be_queried() {
    let temp = temp();
    let cache = open_with(&temp.path().join("cache"), [runs()]).unwrap();
    let meta = [run(0.1, Some("x"), 1)];
    cache
        .set_with(
            "a",
            &noise(1, 1000),
            &SetOptions { tags: &["t", "u"], meta: &meta, ..SetOptions::default() },
        )
        .unwrap();
    let sql = "SELECT e.key, t.tag, r.name FROM entries e JOIN tags t USING (key) JOIN runs r USING (key) WHERE t.tag = ?";
    assert_eq!(texts(&ask(&cache, sql, &[Cell::Text("u".into())]).unwrap()), ["a", "u", "x"]);
    let sizes = ask(&cache, "SELECT size, hits, expiresAt FROM entries", &[]).unwrap().cells;
    assert_eq!(sizes, [Cell::Integer(1000), Cell::Integer(0), Cell::Null]);
}

/// Each step of what SQLite makes of a query.
fn plan(cache: &Cache, sql: &str) -> Vec<String> {
    let answer = ask(cache, &format!("EXPLAIN QUERY PLAN {sql}"), &[]).unwrap();
    answer.cells.chunks(4).map(|step| format!("{:?}", step[3])).collect()
}

#[test]
fn views_join_by_key_through_indexes() {
    let temp = temp();
    let notes = MetaTable { name: "notes".into(), columns: vec![column("note", ColumnType::Text)] };
    let cache = open_with(&temp.path().join("cache"), [runs(), notes]).unwrap();
    for i in 0..300 {
        let key = format!("k{i}");
        let note = Cell::Text(format!("note {i}").into());
        let note = MetaRow { table: "notes".into(), cells: vec![("note".into(), note)] };
        let meta = [run(f64::from(i), Some(&key), i.into()), note];
        let tags: &[&str] = if i % 3 == 0 { &["third"] } else { &[] };
        cache
            .set_with(key.as_str(), b"v", &SetOptions { meta: &meta, tags, ..SetOptions::default() })
            .unwrap();
    }
    for (sql, found) in [
        ("SELECT note FROM runs JOIN notes USING (key) WHERE accuracy = 7", vec!["note 7"]),
        ("SELECT note FROM runs r JOIN notes n ON n.key = r.key WHERE r.name = 'k7'", vec!["note 7"]),
        ("SELECT note FROM runs LEFT JOIN notes USING (key) WHERE accuracy = 7", vec!["note 7"]),
        ("SELECT note FROM notes WHERE key IN ('k1', 'k2') ORDER BY key", vec!["note 1", "note 2"]),
        ("SELECT e.key FROM runs r JOIN entries e USING (key) WHERE r.accuracy = 7", vec!["k7"]),
        ("SELECT e.key FROM runs r JOIN entries e ON r.key = e.key WHERE r.accuracy > 298", vec!["k299"]),
        ("SELECT key FROM entries WHERE key = 'k9'", vec!["k9"]),
        ("SELECT key FROM entries WHERE key IN ('k9', 'k8', 'none') ORDER BY key", vec!["k8", "k9"]),
        ("SELECT name FROM tags JOIN runs USING (key) WHERE tag = 'third' AND accuracy = 9", vec!["k9"]),
        ("SELECT tag FROM tags WHERE key = 'k9' AND tag = 'third'", vec!["third"]),
        (
            "SELECT note FROM runs JOIN entries USING (key) JOIN notes USING (key) WHERE accuracy = 5",
            vec!["note 5"],
        ),
    ] {
        let steps = plan(&cache, sql);
        assert!(
            !steps.iter().any(|step| step.contains("SCAN") && !step.contains("SCAN k ")),
            "{sql}: {steps:#?}"
        );
        assert_eq!(texts(&ask(&cache, sql, &[]).unwrap()), found, "{sql}");
    }
    for (sql, count) in [
        ("SELECT count(*) FROM runs JOIN notes USING (key) JOIN entries USING (key)", 300),
        ("SELECT count(*) FROM tags JOIN runs USING (key)", 100),
        ("SELECT count(*) FROM runs LEFT JOIN entries USING (key) WHERE entries.size = 1", 300),
        ("SELECT count(*) FROM entries", 300),
        ("SELECT count(*) FROM entries WHERE key = 'K9' COLLATE NOCASE", 1),
        ("SELECT count(*) FROM entries WHERE key = 9 OR key IS NULL OR key = x'6b39' OR key = 1.5", 0),
        ("SELECT count(*) FROM entries WHERE key IS 'k9'", 1),
        ("SELECT count(*) FROM entries WHERE key >= 'k9'", 11),
        ("SELECT count(*) FROM entries a, entries b WHERE a.key = b.key", 300),
    ] {
        assert_eq!(ask(&cache, sql, &[]).unwrap().cells, [Cell::Integer(count)], "{sql}");
    }
}

#[test]
fn a_table_of_an_earlier_version_gets_its_index() {
    let temp = temp();
    let dir = temp.path().join("cache");
    let cache = open_with(&dir, [runs()]).unwrap();
    set(&cache, "a", run(0.1, Some("x"), 1)).unwrap();
    cache.close().unwrap();
    database(&dir).execute_batch("DROP INDEX index_key_of_runs").unwrap();
    let cache = open_with(&dir, [runs()]).unwrap();
    let sql = "SELECT name FROM runs WHERE key = 'a'";
    assert!(plan(&cache, sql)[0].contains("index_key_of_runs"), "{:?}", plan(&cache, sql));
    assert_eq!(texts(&ask(&cache, sql, &[]).unwrap()), ["x"]);
}

#[test]
fn the_end_of_a_snapshot_is_not_given_up_with_its_query() {
    let temp = temp();
    let cache = open_with(&temp.path().join("cache"), [runs()]).unwrap();
    let long = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    // As many as it takes for SQLite to ask, at the thousandth of its few steps, whether it is to go on.
    for _ in 0..700 {
        assert!(!cache.query_into(long, &[], Wait::No, true, &mut Answer::default()).unwrap());
        cache.release().unwrap();
    }
}

#[test]
fn a_long_query_is_given_up_where_it_may_not_wait_and_when_the_cache_closes() {
    let temp = temp();
    let cache = Arc::new(open_with(&temp.path().join("cache"), [runs()]).unwrap());
    let long = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    assert_eq!(cache.query(long, &[], Wait::No).unwrap(), None);
    assert!(cache.query("SELECT 1", &[], Wait::No).unwrap().is_some());
    let asked = Arc::clone(&cache);
    let thread = std::thread::spawn(move || asked.query(long, &[], Wait::Yes));
    std::thread::sleep(Duration::from_millis(50));
    cache.settle_down().unwrap();
    assert_eq!(thread.join().unwrap().unwrap_err().code(), Code::Closed);
}

#[test]
fn what_is_mended_keeps_its_rows_and_lost_tables_are_made_again() {
    let temp = temp();
    let dir = temp.path().join("cache");
    let cache = open_with(&dir, [runs()]).unwrap();
    for i in 0..400 {
        let meta = [run(f64::from(i), Some(&format!("n{i}")), i.into())];
        cache
            .set_with(
                format!("k{i}").as_str(),
                &noise(1, 500),
                &SetOptions { meta: &meta, ..SetOptions::default() },
            )
            .unwrap();
    }
    database(&dir).execute_batch("DROP TABLE meta_runs").unwrap();
    cache.close().unwrap();
    let cache = open_with(&dir, [runs()]).unwrap();
    assert_eq!(count(&dir, "meta_runs"), 400, "made from what entries carry");
    cache.close().unwrap();
    let path = dir.join("tierce.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 3 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xee);
    std::fs::write(&path, bytes).unwrap();
    let cache = open_with(&dir, [runs()]).unwrap();
    let kept = cache.len().unwrap();
    assert!((200..400).contains(&kept), "{kept}");
    assert_eq!(
        ask(&cache, "SELECT count(*) FROM runs WHERE accuracy >= 0", &[]).unwrap().cells,
        [Cell::Integer(kept as i64)]
    );
    set(&cache, "new", run(1000.0, Some("new"), 1)).unwrap();
}

#[test]
fn a_table_that_vanishes_under_an_open_cache_is_made_again() {
    let temp = temp();
    let dir = temp.path().join("cache");
    let cache = open_with(&dir, [runs()]).unwrap();
    set(&cache, "a", run(0.1, Some("x"), 1)).unwrap();
    database(&dir).execute_batch("DROP TABLE meta_runs").unwrap();
    set(&cache, "b", run(0.2, Some("y"), 2)).unwrap();
    assert_eq!(
        ask(&cache, "SELECT key FROM runs ORDER BY key", &[]).map(|answer| answer.cells.len()).unwrap(),
        2
    );
}
