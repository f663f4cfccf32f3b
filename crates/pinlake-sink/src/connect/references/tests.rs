//! References in a configuration, and what they stand for.

use pinlake_core::Error;

use super::*;

struct Fixed;

impl References for Fixed {
    fn file(&self, path: &str, name: &str) -> Result<String> {
        Ok(format!("<{path}|{name}>"))
    }

    fn variable(&self, name: &str) -> Result<String> {
        if name == "GONE" { Err(Error::not_found("no such variable")) } else { Ok(format!("<{name}>")) }
    }
}

#[test]
fn references_are_replaced_wherever_they_stand() {
    for (value, expected) in [
        ("plain", "plain"),
        ("${env:A}", "<A>"),
        ("x${env:A}y${file:/run/s.properties:key}z", "x<A>y</run/s.properties|key>z"),
        ("${file:C:/x:key}", "<C:/x|key>"),
        ("${vault:a:b}", "${vault:a:b}"),
        ("${open", "${open"),
        ("${}${env:}", "${}<>"),
        ("", ""),
    ] {
        assert_eq!(resolve(value, &Fixed).unwrap(), expected, "{value}");
    }
    assert!(resolve("a${env:GONE}", &Fixed).is_err());
    assert!(is_reference("a${env:A}") && !is_reference("${vault:a}") && !is_reference("$env"));
}

#[test]
fn properties_are_lines() {
    let text = "# key=no\n! key=no\nkey = one\nother: two = 2\n  key=last value \nslash=a\\\\b\nempty=\n";
    assert_eq!(property(text, "key").as_deref(), Some("last value "));
    assert_eq!(property(text, "other").as_deref(), Some("two = 2"));
    assert_eq!(property(text, "slash").as_deref(), Some("a\\b"));
    assert_eq!(property(text, "empty").as_deref(), Some(""));
    assert_eq!(property(text, "none"), None);
}
