//! Messages as botocore's own parser takes them: the bytes below were read by `botocore.eventstream.EventStreamBuffer`.

use super::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn an_event_has_lengths_headers_and_checksums() {
    assert_eq!(hex(&event("e", "application/json", b"{}")), EVENT);
}

#[test]
fn an_error_is_an_exception_by_its_type() {
    let error = AwsError::new("ResourceInUseException", "taken");
    assert_eq!(hex(&exception(&error, "a/b", b"")), EXCEPTION);
    let error = AwsError::from(pinlake_core::Error::internal("broken"));
    let message = exception(&error, "a/b", b"");
    assert!(message.windows(24).any(|part| part == b"InternalFailureException"));
}

const EVENT: &str = "0000005900000047b899a6e00b3a6576656e742d74797065070001650d3a636f6e74656e742d747970650700106170706c69636174696f\
    6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b7d4b75abba";
const EXCEPTION: &str = "0000006700000057bb3fb0630f3a657863657074696f6e2d747970650700165265736f75726365496e557365457863657074696f6e0d3a\
    636f6e74656e742d74797065070003612f620d3a6d6573736167652d74797065070009657863657074696f6e5c5e6fdb";
