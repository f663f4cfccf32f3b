//! What each source sends, and what it says of what it cannot read.

#![expect(clippy::disallowed_methods, reason = "a test makes and reads its own files")]

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::*;

fn wanted(count: Option<u64>, start_at: u64) -> Wanted {
    Wanted { seed: 42, count, start_at, duplicates: 0.1, datetimes: Datetimes::T }
}

async fn all(source: &Source, wanted: &Wanted) -> Result<Vec<SourcePost>> {
    let mut feed = source.open(wanted).await?;
    let mut posts = Vec::new();
    while let Some(post) = feed.recv().await {
        posts.push(post?);
    }
    Ok(posts)
}

fn shown(posts: &[SourcePost]) -> Vec<String> {
    let line = |post: &SourcePost| post.records.iter().map(|record| format!("{} {}", record.kind.name(), record.json)).collect();
    let lines: Vec<Vec<String>> = posts.iter().map(line).collect();
    lines.iter().map(|records| records.join(" | ")).collect()
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn of(folder: &Path) -> Source {
    Source::Folder(folder.to_owned())
}

#[test]
fn sources_are_told_apart_and_passwords_stay_hidden() {
    assert_eq!("builtin".parse::<Source>().unwrap(), Source::Builtin);
    assert_eq!("some/folder".parse::<Source>().unwrap(), Source::Folder("some/folder".into()));
    let database: Source = "mysql://me:secret@db.example:3306/pinterest_data".parse().unwrap();
    assert_eq!(format!("{database} {database:?}").matches("secret").count(), 0);
    let error = "postgres://me:secret@db.example/x".parse::<Source>().unwrap_err().to_string();
    assert!(error.contains("postgres://me:***@db.example/x") && error.contains("mysql://"), "{error}");
}

#[tokio::test]
async fn the_builtin_source_is_the_generators_run() {
    let posts = all(&Source::Builtin, &wanted(Some(50), 20)).await.unwrap();
    let options = PostsOptions { posts: 50, duplicates: 0.1, datetimes: Datetimes::T };
    let expected: Vec<Post> = Posts::new(42, &options).unwrap().skip(20).collect();
    assert_eq!(posts.iter().map(|post| post.number).collect::<Vec<_>>(), (20..50).collect::<Vec<_>>());
    for (post, expected) in posts.iter().zip(&expected) {
        assert_eq!(
            [&expected.pin, &expected.geo, &expected.user].map(String::as_str),
            [0, 1, 2].map(|at| &*post.records[at].json)
        );
        assert!(post.records.iter().all(|record| record.key == Some(expected.index as i64)));
    }
}

#[tokio::test]
async fn a_folders_lines_are_sent_as_they_are() {
    let folder = folder(&[
        ("pin.jsonl", "{\"index\": 1,  \"odd\":\"\\u00e9\"}\r\n\n{\"index\":2}"),
        ("geolocation_data.json", "{\"ind\":1}\n{\"ind\":2}\n{\"ind\":3}\n"),
        ("pinterest-user.json", "{\"index\":1}\n[]\n"),
        ("notes.txt", "not looked at"),
    ]);
    let posts = all(&of(folder.path()), &wanted(None, 0)).await.unwrap();
    assert_eq!(
        shown(&posts),
        [
            "pin {\"index\": 1,  \"odd\":\"\\u00e9\"} | geo {\"ind\":1} | user {\"index\":1}",
            "pin {\"index\":2} | geo {\"ind\":2} | user []",
            "geo {\"ind\":3}",
        ]
    );
    let keys: Vec<Option<i64>> = posts[1].records.iter().map(|record| record.key).collect();
    assert_eq!(keys, [Some(2), Some(2), None]);
}

#[tokio::test]
async fn a_stored_source_starts_over_when_more_is_wanted() {
    let folder = folder(&[("pin.json", "{\"index\":1}\n{\"index\":2}\n")]);
    let posts = all(&of(folder.path()), &wanted(Some(5), 1)).await.unwrap();
    assert_eq!(shown(&posts), ["pin {\"index\":2}", "pin {\"index\":1}", "pin {\"index\":2}", "pin {\"index\":1}"]);
    assert_eq!(posts[3].number, 4);
}

#[tokio::test]
async fn a_raw_lake_is_a_folder_of_lines() {
    let folder = folder(&[
        ("topics/user1.pin/partition=0/user1.pin+0+0000000000.json", "{\"index\":1}\n"),
        ("topics/user1.pin/partition=1/user1.pin+1+0000000000.json", "{\"index\":2}\n"),
        ("topics/user1.user/partition=0/user1.user+0+0000000000.json", "{\"ind\":1}\n"),
    ]);
    let geo = folder.path().join("topics/user1.geo/partition=0");
    fs::create_dir_all(&geo).unwrap();
    let mut packed = GzEncoder::new(fs::File::create(geo.join("user1.geo+0+0000000000.json.gz")).unwrap(), Compression::fast());
    packed.write_all(b"{\"ind\":1}\n{\"ind\":2}\n").unwrap();
    packed.finish().unwrap();
    let posts = all(&of(folder.path()), &wanted(None, 0)).await.unwrap();
    assert_eq!(shown(&posts), ["pin {\"index\":1} | geo {\"ind\":1} | user {\"ind\":1}", "pin {\"index\":2} | geo {\"ind\":2}"]);
}

#[tokio::test]
async fn what_cannot_be_read_is_told_with_its_place() {
    let missing = all(&of(Path::new("/no/such/folder")), &wanted(None, 0)).await.unwrap_err();
    assert!(missing.to_string().contains("'/no/such/folder' is no folder"), "{missing}");
    let other = folder(&[("notes.txt", "x")]);
    let error = all(&of(other.path()), &wanted(None, 0)).await.unwrap_err();
    assert!(error.to_string().contains("holds no records: files named *pin*"), "{error}");
    let empty = folder(&[("pin.json", "\n")]);
    let error = all(&of(empty.path()), &wanted(Some(3), 0)).await.unwrap_err();
    assert!(error.to_string().contains("hold no line"), "{error}");
    let broken = folder(&[("pin.json", "{\"index\":1}\n{\"index\":\n")]);
    let error = all(&of(broken.path()), &wanted(None, 0)).await.unwrap_err();
    assert!(error.to_string().contains("line 2 of") && error.to_string().contains("is not JSON"), "{error}");
}

#[tokio::test]
async fn a_wrong_mysql_address_is_told_without_its_password() {
    for (url, told) in [
        ("mysql://me:secret@[oops/pinterest_data", "is not a MySQL address"),
        // Nothing listens on the discard port of the loopback.
        ("mysql://me:secret@127.0.0.1:9/pinterest_data", "is the server running"),
    ] {
        let error = all(&url.parse().unwrap(), &wanted(None, 0)).await.unwrap_err().to_string();
        assert!(error.contains(told) && !error.contains("secret"), "{error}");
    }
}
