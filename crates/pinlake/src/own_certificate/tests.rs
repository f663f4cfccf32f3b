//! One certificate for as long as it fits, another where it does not.
#![allow(clippy::disallowed_methods, reason = "writes the files that are read")]

use std::net::{IpAddr, Ipv4Addr};

use super::of;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[test]
fn a_certificate_is_kept_for_its_names() {
    let data = tempfile::tempdir().unwrap();
    let first = of(data.path(), HERE, &[]).unwrap();
    let again = of(data.path(), HERE, &[]).unwrap();
    assert_eq!((first.certificate, first.key), (again.certificate.clone(), again.key));
    let other = of(data.path(), HERE, &["lake.example".to_owned()]).unwrap();
    assert_ne!(again.certificate, other.certificate);
}

#[test]
fn halves_of_two_certificates_are_made_anew() {
    let (data, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = of(data.path(), HERE, &[]).unwrap();
    let second = of(other.path(), HERE, &[]).unwrap();
    let key = data.path().join("tls/key.pem");
    for half in [second.key.as_slice(), b"", b"-----BEGIN PRIVATE KEY-----"] {
        std::fs::write(&key, half).unwrap();
        let made = of(data.path(), HERE, &[]).unwrap();
        assert_ne!(made.certificate, first.certificate);
        assert_eq!(std::fs::read(&key).unwrap(), made.key);
        assert!(super::Tls::new(&made.certificate, &made.key).is_ok());
    }
}

#[test]
fn one_without_its_names_was_half_made() {
    let data = tempfile::tempdir().unwrap();
    let first = of(data.path(), HERE, &[]).unwrap();
    std::fs::remove_file(data.path().join("tls/names.txt")).unwrap();
    assert_ne!(of(data.path(), HERE, &[]).unwrap().key, first.key);
}
