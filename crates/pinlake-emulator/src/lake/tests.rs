//! The lake's layout, offsets and content.

#![expect(clippy::disallowed_methods, reason = "a test makes and reads its own files")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;

use flate2::read::GzDecoder;
use tempfile::TempDir;

use super::*;

fn objects(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![out.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(out).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

fn small() -> LakeOptions {
    LakeOptions { posts: 1_050, flush: 300, ..LakeOptions::default() }
}

#[test]
fn objects_have_the_sinks_names_and_their_partitions_offsets() {
    let folder = TempDir::new().unwrap();
    let told = std::cell::Cell::new((0, 0));
    let summary = write_lake(folder.path(), &small(), &|done, total| told.set((done, total))).unwrap();
    let objects = objects(folder.path());
    let mut expected = Vec::new();
    for kind in ["geo", "pin", "user"] {
        // Blocks of a hundred by turns: 550 posts go to the first partition, 500 to the second.
        for (partition, start) in [(0, 0), (0, 300), (1, 0), (1, 300)] {
            expected.push(format!("topics/u0.{kind}/partition={partition}/u0.{kind}+{partition}+{start:010}.json"));
        }
    }
    assert_eq!(objects.keys().cloned().collect::<Vec<_>>(), expected);
    let lines = |name: &str| objects[name].iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(lines("topics/u0.pin/partition=0/u0.pin+0+0000000000.json"), 300);
    assert_eq!(lines("topics/u0.pin/partition=0/u0.pin+0+0000000300.json"), 250);
    assert_eq!(lines("topics/u0.user/partition=1/u0.user+1+0000000300.json"), 200);
    let bytes = objects.values().map(|object| object.len() as u64).sum();
    assert_eq!(summary, LakeSummary { posts: 1_050, unique: 945, objects: 12, bytes });
    assert_eq!(told.get(), (1_050, 1_050));
}

#[test]
fn lines_are_the_generators_posts_in_order() {
    let folder = TempDir::new().unwrap();
    write_lake(folder.path(), &LakeOptions { partitions: 1, ..small() }, &|_, _| ()).unwrap();
    let options = PostsOptions { posts: 1_050, datetimes: Datetimes::T, ..PostsOptions::default() };
    let posts: Vec<Post> = Posts::new(42, &options).unwrap().collect();
    let objects = objects(folder.path());
    let text = |kind: &str| {
        let of_kind = objects.iter().filter(|(name, _)| name.starts_with(&format!("topics/u0.{kind}/")));
        of_kind.map(|(_, bytes)| String::from_utf8(bytes.clone()).unwrap()).collect::<String>()
    };
    assert!(text("pin").lines().eq(posts.iter().map(|post| post.pin.as_str())));
    assert!(text("geo").lines().eq(posts.iter().map(|post| post.geo.as_str())));
    assert!(text("user").lines().eq(posts.iter().map(|post| post.user.as_str())));
}

#[test]
fn compressed_objects_hold_the_same_lines() {
    let (plain, gzip) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    write_lake(plain.path(), &small(), &|_, _| ()).unwrap();
    write_lake(&gzip.path().join("new"), &LakeOptions { gzip: true, ..small() }, &|_, _| ()).unwrap();
    let packed = objects(&gzip.path().join("new"));
    assert_eq!(packed.len(), 12);
    for (name, bytes) in objects(plain.path()) {
        let mut unpacked = Vec::new();
        GzDecoder::new(&packed[&format!("{name}.gz")][..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, bytes, "{name}");
    }
}

#[test]
fn a_folder_that_holds_something_is_refused() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("note.txt"), "mine").unwrap();
    let error = write_lake(folder.path(), &small(), &|_, _| ()).unwrap_err();
    assert_eq!(error.kind(), pinlake_core::ErrorKind::Conflict);
    assert!(error.to_string().contains("is not empty"), "{error}");
    assert_eq!(objects(folder.path()).len(), 1);
}

#[test]
fn wrong_options_are_refused_before_anything_is_written() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("new");
    for wrong in [
        LakeOptions { flush: 0, ..small() },
        LakeOptions { partitions: 0, ..small() },
        LakeOptions { posts: 0, ..small() },
        LakeOptions { prefix: "a/b".to_owned(), ..small() },
    ] {
        assert!(write_lake(&out, &wrong, &|_, _| ()).is_err(), "{wrong:?}");
        assert!(!out.exists());
    }
}
