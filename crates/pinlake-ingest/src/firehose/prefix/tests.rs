//! Which expressions may stand where.

use super::*;

fn told(prefix: &str, error_prefix: Option<&str>) -> String {
    check(prefix, error_prefix).unwrap_err().message.unwrap()
}

#[test]
fn expressions_are_found_in_their_order() {
    let found = expressions("a/!{timestamp:yyyy'/'MM}/{b}/!{firehose:random-string}!{partitionKeyFromQuery:k}").unwrap();
    assert_eq!(found, [Expression::Timestamp("yyyy'/'MM"), Expression::RandomString, Expression::FromQuery("k")]);
    assert_eq!(expressions("plain/!x{"), Ok(Vec::new()));
}

#[test]
fn what_is_no_expression_is_told() {
    for prefix in ["!{", "!{timestamp}", "!{timestamp:}", "!{firehose:other}", "!{partitionKeyFromQuery:}", "!{a:b}", "!{a"] {
        let told = told(prefix, Some("e"));
        assert!(told.starts_with("Ths supplied prefix(es) do not satisfy the following constraint: "), "{prefix}: {told}");
    }
    assert!(told("!{partitionKeyFromLambda:k}", Some("e")).contains("is not served"));
}

#[test]
fn both_prefixes_fit_together() {
    let expression = "!{timestamp:yyyy}/";
    for missing in [None, Some("")] {
        assert_eq!(
            told(expression, missing),
            "Ths supplied prefix(es) do not satisfy the following constraint: ErrorOutputPrefix cannot be null or empty when Prefix \
             contains expressions"
        );
    }
    assert!(told("!{firehose:error-output-type}", Some("e")).ends_with("Prefix cannot contain !{firehose:error-output-type}"));
    assert!(
        told("a", Some("!{partitionKeyFromQuery:k}!{firehose:error-output-type}")).ends_with("cannot contain partition keys")
    );
    assert!(told("a", Some("!{timestamp:yyyy}")).contains("must contain !{firehose:error-output-type}"));
    assert_eq!(check("a/", None), Ok(Vec::new()));
    assert_eq!(check(expression, Some("errors")), Ok(Vec::new()));
    let keys = check("!{partitionKeyFromQuery:a}/!{partitionKeyFromQuery:b}", Some("!{firehose:error-output-type}"));
    assert_eq!(keys, Ok(vec!["a", "b"]));
}
