//! Durability as text.

use super::*;

#[test]
fn durability_reads_and_writes_as_text() {
    for text in ["fsync", "os", "interval:250ms", "interval:1s"] {
        assert_eq!(text.parse::<Durability>().unwrap().to_string(), text);
        let json: Durability = serde_json::from_str(&format!("\"{text}\"")).unwrap();
        assert_eq!(serde_json::to_string(&json).unwrap(), format!("\"{text}\""));
    }
    assert_eq!("interval".parse::<Durability>().unwrap(), Durability::Interval(Duration::from_millis(100)));
    for text in ["", "sync", "interval:", "interval:0s", "interval:x", "os:1s"] {
        assert!(text.parse::<Durability>().is_err(), "{text}");
    }
}
