//! The program as it is called.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tierce-sim")).args(arguments).output().unwrap()
}

fn write(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    write_bytes(folder, name, text.as_bytes())
}

fn write_bytes(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    let mut gzip = flate2::write::GzEncoder::new(std::fs::File::create(&path).unwrap(), Default::default());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap();
    path
}

#[test]
fn a_trace_becomes_a_table_and_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let trace = write(&folder, "small.tsv.gz", "a\t3\nb\t4\na\t3\n-7\t1\n18446744073709551615\t1\na\t3\n");
    let picture = folder.path().join("curve.svg");
    let output = run(&[
        "-p",
        "lru,fifo",
        "-s",
        "1,50%",
        "-f",
        "csv",
        "-o",
        picture.to_str().unwrap(),
        trace.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().nth(2), Some("small,lru,2,6,5,0.833333,0.800000"));
    let svg = std::fs::read_to_string(picture).unwrap();
    assert!(svg.starts_with("<svg") && svg.matches("<polyline").count() == 2);
}

#[test]
fn bytes_count_by_the_sizes_of_the_trace() {
    let folder = tempfile::tempdir().unwrap();
    let trace = write(&folder, "small.tsv.gz", "1\t3\n2\t9\n1\t3\n");
    let output = run(&["-b", "-p", "lru", "-s", "5", trace.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.ends_with("| small | lru | 5 | 3 | 2 | 0.666667 | 0.800000 |\n"), "{text}");
}

#[test]
fn bad_input_is_named_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    let bad = write(&folder, "bad.tsv.gz", "1\t3\n2\tmuch\n");
    let plain = folder.path().join("plain.tsv.gz");
    std::fs::write(&plain, "1\n2\n").unwrap();
    let nothing = folder.path().join("nothing.tsv.gz");
    std::fs::write(&nothing, "").unwrap();
    let cut = write(&folder, "cut.tsv.gz", &"1\n2\n3\n".repeat(1000));
    let whole = std::fs::read(&cut).unwrap();
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let binary = write_bytes(&folder, "binary.tsv.gz", b"1\n\xff\xfe\n");
    let empty = write(&folder, "empty.tsv.gz", "");
    for (arguments, code, words) in [
        (vec!["-p", "clock", "x"], 2, "unknown policy \"clock\": expected one of lru, lfu"),
        (vec!["-s", "0", "x"], 2, "\"0\" is not a size"),
        (vec!["-s"], 2, "-s needs a value"),
        (vec!["--fast", "x"], 2, "unknown option --fast"),
        (vec!["-f", "html", "x"], 2, "unknown format \"html\""),
        (vec![], 2, "no trace given"),
        (vec![bad.to_str().unwrap()], 1, "line 2: \"much\" is not a size"),
        (vec![plain.to_str().unwrap()], 1, "plain.tsv.gz is not gzip"),
        (vec![nothing.to_str().unwrap()], 1, "nothing.tsv.gz is not gzip"),
        (vec![cut.to_str().unwrap()], 1, "cut.tsv.gz is damaged, or no text, after line"),
        (vec![binary.to_str().unwrap()], 1, "binary.tsv.gz is damaged, or no text, after line 1"),
        (vec![empty.to_str().unwrap()], 1, "no request in it"),
        (vec!["/nowhere.gz"], 1, "/nowhere.gz"),
    ] {
        let output = run(&arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), text.contains(words)), (Some(code), true), "{arguments:?}: {text}");
    }
}

#[test]
fn a_reader_that_stops_reading_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let trace = write(&folder, "small.tsv.gz", "1\n2\n1\n");
    let bad = write(&folder, "bad.tsv.gz", "1\tmuch\n");
    for (path, code) in [(trace, 0), (bad, 1)] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut program = Command::new(env!("CARGO_BIN_EXE_tierce-sim"));
        program.arg(path).stdout(writer.try_clone().unwrap()).stderr(writer);
        assert_eq!(program.status().unwrap().code(), Some(code));
    }
}

#[test]
fn the_greatest_capacity_there_is_holds_everything() {
    let folder = tempfile::tempdir().unwrap();
    let trace = write(&folder, "small.tsv.gz", "1\n2\n1\n2\n3\n");
    let output = run(&["-f", "csv", "-s", &u64::MAX.to_string(), trace.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.matches(",5,3,0.6").count(), 9, "{text}");
}

#[test]
fn help_is_no_failure() {
    let output = run(&["--help"]);
    assert!(
        output.status.success() && String::from_utf8(output.stdout).unwrap().contains("usage: tierce-sim")
    );
}
