//! Which statements are too deep.

use super::{STEPS_MAX, check};

fn refused(sql: &str) -> bool {
    check(sql).is_err()
}

#[test]
fn chains_are_refused_just_over_the_limit() {
    let chains = [
        ("SELECT 1", " + 1"),
        ("SELECT 1", "::int"),
        ("SELECT true", " AND true"),
        ("SELECT true", " or true"),
        ("SELECT 'a'", "||'a'"),
        ("SELECT 1", " IS NULL"),
        ("SELECT a", "[1]"),
        ("SELECT a FROM a", " JOIN b USING (a)"),
        ("SELECT a FROM a", ", b"),
        ("SELECT a FROM (SELECT 1) a", ", b"),
    ];
    for (begin, link) in chains {
        let selects = begin.matches("SELECT").count();
        assert!(!refused(&format!("{begin}{}", link.repeat(STEPS_MAX - selects))), "{begin}{link}");
        assert!(refused(&format!("{begin}{}", link.repeat(STEPS_MAX - selects + 1))), "{begin}{link}");
    }
    assert!(refused(&format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(STEPS_MAX / 2))));
}

#[test]
fn long_lists_are_no_depth() {
    for sql in [
        format!("SELECT a FROM b WHERE a IN (1{})", ", 2".repeat(10_000)),
        format!("SELECT 1{} FROM a", ", 'x'".repeat(10_000)),
        format!("VALUES (1){}", ", (2)".repeat(10_000)),
        format!("SELECT * FROM (VALUES (1){}) a", ", (2)".repeat(10_000)),
        format!("SELECT a FROM b ORDER BY a{}", ", a".repeat(10_000)),
        format!("SELECT '{}'", "+".repeat(10_000)),
        format!("SELECT extract(year FROM a){}", ", b".repeat(10_000)),
    ] {
        assert!(!refused(&sql), "{}", &sql[..60]);
    }
}

#[test]
fn what_does_not_tokenise_is_the_parsers_to_explain() {
    assert!(!refused("SELECT 'open"));
}
