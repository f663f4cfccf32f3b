//! The dump as text; the integration tests load it.

#![expect(clippy::disallowed_methods, reason = "a test makes and reads its own files")]

use tempfile::TempDir;

use super::*;

#[test]
fn a_dump_has_each_row_once_and_three_tables() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("classic.sql");
    let summary = write_mysql_dump(&out, &DumpOptions { rows: 1_200, seed: 42 }, &|_, _| ()).unwrap();
    let text = std::fs::read_to_string(&out).unwrap();
    assert_eq!(summary, DumpSummary { rows: 1_200, bytes: text.len() as u64 });
    let rows = text.lines().filter(|line| line.starts_with('(')).count();
    assert_eq!(rows, 3 * 1_200);
    assert_eq!(text.matches("CREATE TABLE").count(), 3);
    // Three inserts a table: 500, 500 and 200 rows.
    assert_eq!(text.matches("INSERT INTO").count(), 9);
    assert_eq!(text.matches(");\n").count(), 9);
}

#[test]
fn texts_are_escaped() {
    let mut out = String::new();
    push_text(&mut out, "Cote d'Ivoire \\o/ \"x\"\n\u{a0}✨");
    assert_eq!(out, ",'Cote d\\'Ivoire \\\\o/ \"x\"\\n\u{a0}✨'");
}

#[test]
fn an_existing_file_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("classic.sql");
    std::fs::write(&out, "mine").unwrap();
    let error = write_mysql_dump(&out, &DumpOptions::default(), &|_, _| ()).unwrap_err();
    assert!(error.to_string().contains("exists already"), "{error}");
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "mine");
}
