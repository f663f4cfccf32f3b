//! What a reference in a configuration may read of the machine.

use std::io::Write;

use pinlake_sink::TargetKeys;

use super::*;

fn target(endpoint: Option<&str>) -> Target {
    Target {
        bucket: "bucket".to_owned(),
        region: Some("eu-west-1".to_owned()),
        endpoint: endpoint.map(str::to_owned),
        path_style: true,
        keys: Some(TargetKeys { id: "id".to_owned(), secret: "secret".to_owned() }),
    }
}

#[test]
fn a_bucket_is_a_folder_or_a_clouds_own() {
    for (location, endpoint, expected) in [
        ("data/buckets", None, "data/buckets/bucket"),
        ("data/buckets/", None, "data/buckets/bucket"),
        ("s3://", None, "s3://bucket"),
        ("gs://", None, "gs://bucket"),
        ("s3://one/connect", None, "s3://one/connect/bucket"),
        ("data/buckets", Some("http://127.0.0.1:9000"), "s3://bucket"),
    ] {
        assert_eq!(ServerBuckets::at(location.to_owned()).place(&target(endpoint)).0, expected);
    }
}

#[test]
fn a_store_of_its_own_is_opened_with_the_connectors_options() {
    let (_, options) = ServerBuckets::at(String::new()).place(&target(Some("http://127.0.0.1:9000")));
    let text: Vec<String> = options.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        text,
        [
            "aws_region=eu-west-1",
            "aws_endpoint=http://127.0.0.1:9000",
            "aws_allow_http=true",
            "aws_virtual_hosted_style_request=false",
            "aws_access_key_id=id",
            "aws_secret_access_key=secret",
        ]
    );
    assert!(ServerBuckets::at("folder".to_owned()).place(&target(None)).1.is_empty());
}

#[test]
fn files_and_variables_are_read_and_errors_tell_nothing_of_them() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"key=secret\n").unwrap();
    let path = file.path().to_str().unwrap();
    assert_eq!(ServerReferences.file(path, "key").unwrap(), "secret");
    let error = ServerReferences.file(path, "other").unwrap_err().to_string();
    assert!(error.contains("has no property 'other'") && !error.contains("secret"), "{error}");
    assert!(ServerReferences.file("not/there", "key").is_err());
    assert!(ServerReferences.variable("PINLAKE_TEST_NOT_SET").is_err() && ServerReferences.variable("").is_err());
    assert!(ServerReferences.variable("PATH").is_ok());
}
