//! The grammar is `serde_json`'s, on texts that are JSON, nearly JSON and not at all.

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

/// What both say of a text that should be one value.
fn agree(text: &str) {
    let mut scanner = Scanner::new(text);
    let ours = scanner.value().and_then(|value| scanner.end().map(|()| value));
    let theirs: Result<&RawValue, _> = serde_json::from_str(text);
    match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours.text(), theirs.get().trim_matches([' ', '\n', '\r', '\t'])),
        (Err(_), Err(_)) => {}
        _ => panic!("{text:?}: {ours:?}, serde_json {theirs:?}"),
    }
}

#[test]
fn the_grammar_is_serde_jsons() {
    for text in [
        "",
        " ",
        "null",
        "nul",
        "nulll",
        "true",
        "tru",
        "false",
        "falsey",
        "0",
        "-0",
        "-",
        "01",
        "1.",
        "1.0",
        ".5",
        "1e5",
        "1E+05",
        "1e",
        "1e-",
        "1.e1",
        "1e999999",
        "--1",
        "+1",
        "\"\"",
        "\"",
        "\"\\\"",
        "\"\\\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\u00e9é\"",
        "\"\n\"",
        "\"\t\"",
        "\"\u{7f}\"",
        "\"\0\"",
        "[]",
        "[ ]",
        "[,]",
        "[1,]",
        "[1 2]",
        "[1,2",
        "[1}",
        "{}",
        "{ }",
        "{,}",
        "{1:2}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1]",
        "{\"a\":{\"b\":[{}]}}",
        " { \"a\" : [ 1 , 2 ] } ",
        "1 2",
        "[1]]",
        "\u{feff}1",
        "\u{a0}1",
        "'a'",
    ] {
        agree(text);
    }
}

#[test]
fn blanks_are_noted_inside_only() {
    let blanks = |text| Scanner::new(text).value().unwrap().has_blanks();
    for text in ["1", " 1 ", "\"a b\"", "{\"a b\":[1,{\"c\":\" \"}]}", "\n[]\n"] {
        assert!(!blanks(text), "{text:?}");
    }
    for text in [
        "[ ]",
        "{ }",
        "[1 ]",
        "[ 1]",
        "[1, 2]",
        "[1 ,2]",
        "{ \"a\":1}",
        "{\"a\" :1}",
        "{\"a\": 1}",
        "{\"a\":1 }",
        "{\"a\":1,\n\"b\":2}",
    ] {
        assert!(blanks(text), "{text:?}");
    }
}

#[test]
fn errors_say_where_and_whether_it_is_the_form() {
    let list = |text: &str| Scanner::new(text).list("a list", |scanner| scanner.value().map(drop)).unwrap_err();
    assert_eq!(list(" {}").to_string(), "expected a list at byte 1");
    assert!(list(" {}").is_form);
    assert!(!list("").is_form);
    assert!(!list("[1,x]").is_form);
    assert_eq!(list("[1,x]").to_string(), "expected a value at byte 3");
}

#[test]
fn names_are_unescaped() {
    let mut names = Vec::new();
    let taken: Result<(), JsonError> = Scanner::new(r#"{"a":1, "\u0062\"" : 2}"#).object("an object", |scanner, name| {
        names.push(name.to_owned());
        scanner.value().map(drop)
    });
    taken.unwrap();
    assert_eq!(names, ["a", "b\""]);
}

fn piece() -> impl Strategy<Value = String> {
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        " ",
        "\n",
        "\"",
        "\"a\"",
        "\"a\":",
        "\\",
        "\\u00",
        "\\ud83d",
        "null",
        "true",
        "false",
        "0",
        "1",
        "-",
        ".",
        "e",
        "E+",
        "é",
        "\u{1}",
        "{\"k\":[1,2]}",
    ];
    prop_oneof![4 => prop::sample::select(pieces.to_vec()).prop_map(str::to_owned), 1 => ".{0,3}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_is_judged_alike(pieces in proptest::collection::vec(piece(), 0..12)) {
        agree(&pieces.concat());
    }

    #[test]
    fn valid_texts_with_one_change_are_judged_alike(at in any::<prop::sample::Index>(), insert in piece(), cut: bool) {
        let valid = r#"{"records":[{"key":null,"value":{"a b":[1.5e-3,-0,"x\n\u00e9 \\"],"c":{},"d":[ ]}}, {"value" : true}]}"#;
        let at = at.index(valid.len());
        let rest = if cut { &valid[at + 1..] } else { &valid[at..] };
        agree(&format!("{}{insert}{rest}", &valid[..at]));
    }
}
