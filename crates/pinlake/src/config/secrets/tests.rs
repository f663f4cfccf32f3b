//! Files that hold secrets, and those that can't.
#![allow(clippy::disallowed_methods, reason = "writes the files that are read")]

use rustix::fs::{CWD, Mode, mkfifoat};

use super::{BYTES_MAX, SecretRef};

#[test]
fn a_file_is_taken_without_its_last_line_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    for (text, secret) in [("word", "word"), ("word\n", "word"), ("word\r\n", "word"), ("two\nlines\n\n", "two\nlines\n")] {
        std::fs::write(&file, text).unwrap();
        assert_eq!(SecretRef::File(file.clone()).resolve().unwrap().expose(), secret);
    }
    std::fs::write(&file, "\n").unwrap();
    assert!(SecretRef::File(file).resolve().unwrap_err().to_string().contains("empty"));
}

#[test]
fn what_may_never_end_or_begin_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
    for path in ["/dev/zero".into(), pipe, folder.path().to_owned()] {
        let error = format!("{:#}", SecretRef::File(path).resolve().unwrap_err());
        assert!(error.ends_with("it is no regular file"), "{error}");
    }
    assert!(SecretRef::File(folder.path().join("none")).resolve().is_err());
}

#[test]
fn a_file_has_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let most = usize::try_from(BYTES_MAX).unwrap();
    std::fs::write(&file, "s".repeat(most)).unwrap();
    assert_eq!(SecretRef::File(file.clone()).resolve().unwrap().expose().len(), most);
    std::fs::write(&file, "s".repeat(most + 1)).unwrap();
    assert!(format!("{:#}", SecretRef::File(file).resolve().unwrap_err()).contains("more than 64 KiB"));
}
