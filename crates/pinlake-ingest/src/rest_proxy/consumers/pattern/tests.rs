//! Patterns and names that they match or not.

use super::*;

#[test]
fn names_match_as_a_whole() {
    for (pattern, yes, no) in [
        ("a", &["a"][..], &["", "aa", "b"][..]),
        ("", &[""], &["a"]),
        (r".*\.pin", &["a.pin", ".pin"], &["apin", "a.pin2", "a.pinx"]),
        ("^orders-.+$", &["orders-1"], &["orders-", "x-orders-1"]),
        ("a|bc|", &["a", "bc", ""], &["abc", "b"]),
        ("(?:ab)+c?", &["ab", "ababc"], &["", "c", "abcc"]),
        ("[a-c_]x[^0-9]", &["axy", "_x-"], &["dxy", "ax1"]),
        ("[]a-]+", &["]", "a-]"], &["b"]),
        (r"\d{2}\w{1,3}?", &["12a", "12_b3"], &["12", "1a", "12abcd"]),
        ("x{0,2}y{2,}", &["yy", "xxyyy"], &["xxxyy", "y"]),
        ("(a*)*", &["", "aaa"], &["b"]),
        (r"[\d.]+", &["1.2"], &["a"]),
        ("a$b|^c", &["c"], &["ab", "a$b"]),
    ] {
        let compiled = Pattern::new(pattern).unwrap();
        for name in yes {
            assert!(compiled.matches(name), "{pattern} {name}");
        }
        for name in no {
            assert!(!compiled.matches(name), "{pattern} {name}");
        }
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    for pattern in ["(", ")", "a)", "a)|(b", "[a", "[", "*a", "a{3,2}", r"\", r"\1", "(?=a)", "(?<!a)b", "[z-a]", "(?x)a #"]
        .map(str::to_owned)
    {
        let error = Pattern::new(&pattern).unwrap_err();
        assert!(error.starts_with("the topic pattern is no regular expression") && !error.contains('\n'), "{pattern}: {error}");
    }
    assert!(Pattern::new("[z-a]").unwrap_err().contains("invalid character class range"), "it says what is wrong");
    for pattern in
        ["a".repeat(LEN_MAX + 1), "((a{100}){100}){100}".to_owned(), "(".repeat(200), "(?:(?:a?){1000}){1000}".to_owned()]
    {
        assert!(Pattern::new(&pattern).is_err(), "{pattern}");
    }
}

#[test]
fn no_pattern_is_slow() {
    let name = "a".repeat(249);
    assert!(!Pattern::new("(a*)*(a*)*(a*)*(a|aa)+b").unwrap().matches(&name));
    // Nothing, over and over, is nothing.
    assert!(Pattern::new("(((){60000}){60000}){60000}").is_ok_and(|pattern| !pattern.matches(&name)));
}
