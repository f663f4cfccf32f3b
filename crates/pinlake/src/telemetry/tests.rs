//! What `RUST_LOG` makes of the quiet default.

use super::*;

#[test]
fn a_level_alone_is_for_the_own_parts_and_a_name_wins() {
    let quiet = |libraries: &str, own: &str| format!("{libraries},pinlake={own},{QUIET}");
    assert_eq!(directives("info", ""), quiet("warn", "info"));
    assert_eq!(directives("info", "debug"), quiet("warn", "debug"));
    assert_eq!(directives("warn", "off"), quiet("off", "off"));
    assert_eq!(directives("info", "info, pinlake_lake=debug"), quiet("warn", "info") + ",pinlake_lake=debug");
    assert_eq!(directives("info", "deltalake_core=trace"), quiet("warn", "info") + ",deltalake_core=trace");
}
