//! How a place is shown to people.

use super::*;

#[test]
fn a_place_is_shown_as_a_folder_without_secrets() {
    for (url, shown) in [
        ("s3://bucket/lake", "s3://bucket/lake/"),
        ("s3://bucket/lake/", "s3://bucket/lake/"),
        ("s3://bucket", "s3://bucket/"),
        ("s3://KEY:SECRET@bucket/lake", "s3://bucket/lake/"),
        ("s3://KEY@bucket/a/b", "s3://bucket/a/b/"),
        ("az://account/lake?sig=SECRET#x", "az://account/lake/"),
        ("memory:///", "memory:///"),
    ] {
        let shown_url = super::shown(Url::parse(url).unwrap());
        assert_eq!(shown_url.as_str(), shown);
    }
    let store = Store::open("memory:///").unwrap();
    assert_eq!(format!("{}tables/pin", store.url()), "memory:///tables/pin");
    assert_eq!(store.folder("tables").folder("pin").url().as_str(), "memory:///tables/pin/");
}

#[test]
fn a_url_that_no_store_understands_is_refused_without_its_secrets() {
    let error = Store::open("nobodys://KEY@place/lake?sig=SECRET").unwrap_err().to_string();
    assert!(
        error.starts_with("opening 'nobodys://place/lake/': ") && !error.contains("SECRET") && !error.contains("KEY"),
        "{error}"
    );
    let error = Store::open("s3://me:hunter2@bucket/lake?sig=hunter2").unwrap_err().to_string();
    assert!(error.contains("holds a password: take it out") && !error.contains("hunter2"), "{error}");
}
