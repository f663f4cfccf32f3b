//! Signatures beside those of botocore 1.44 (`SigV4QueryAuth(credentials, "kafka-cluster", region, expires=900)` on a GET of
//! `https://kafka.REGION.amazonaws.com/` with the parameter `Action`), which AWS's own signer for Kafka calls, at the same moment.

use super::*;

/// The example key of AWS's documents.
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn key(id: &str, session_token: Option<&str>) -> AwsKey {
    AwsKey { id: id.to_owned(), secret: Secret::new(SECRET), session_token: session_token.map(Secret::new) }
}

fn at(time: &str) -> Timestamp {
    Timestamp(time.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

#[test]
fn a_key_signs_as_botocore_does() {
    let url = signed_url(&key("AKIDEXAMPLE", None), "eu-west-1", at("2024-02-29T23:59:59.999Z")).unwrap();
    let botocores = "https://kafka.eu-west-1.amazonaws.com/?Action=kafka-cluster%3AConnect&X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=AKIDEXAMPLE%2F20240229%2Feu-west-1%2Fkafka-cluster%2Faws4_request&X-Amz-Date=20240229T235959Z\
        &X-Amz-Expires=900&X-Amz-SignedHeaders=host\
        &X-Amz-Signature=1869bc00d46419f0fc55de46d7fec9eba192a6575b0dc8121d66ef763432282c";
    let agent = url.strip_prefix(botocores).unwrap_or_else(|| panic!("{url}"));
    assert_eq!(agent, format!("&User-Agent=pinlake%2F{}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_token_of_a_key_that_ends_is_signed_too() {
    let url = signed_url(&key("ASIDEXAMPLE", Some("IQoJ+/=tok en")), "us-east-1", at("2024-03-01T00:00:00Z")).unwrap();
    assert!(url.contains("&X-Amz-Security-Token=IQoJ%2B%2F%3Dtok%20en&"), "{url}");
    let botocores = "&X-Amz-Signature=7ab41a9f617ef66e55a1f4cd344a607c4e2b954b701d48e72251ef2535998373&User-Agent=";
    assert!(url.contains(botocores), "{url}");
}
