//! The texts of errors.

use super::*;

#[test]
fn broken_constraints_are_counted_and_named_up_to_ten() {
    let problems: Vec<String> = (0..12).map(|at| format!("p{at}")).collect();
    let message = |count: usize| AwsError::validation(&problems[..count]).message.unwrap();
    assert_eq!(message(1), "1 validation error detected: p0");
    assert_eq!(message(2), "2 validation errors detected: p0; p1");
    assert_eq!(message(12), "10 validation errors detected: p0; p1; p2; p3; p4; p5; p6; p7; p8; p9");
}

#[test]
fn a_body_is_type_and_message() {
    let text = |error: AwsError| String::from_utf8(error.body().to_json()).unwrap();
    assert_eq!(text(AwsError::new("A", "b")), r#"{"__type":"A","message":"b"}"#);
    assert_eq!(text(AwsError::serialization("b")), r#"{"__type":"SerializationException","Message":"b"}"#);
    assert_eq!(text(AwsError::unknown_operation()), r#"{"__type":"UnknownOperationException"}"#);
}
