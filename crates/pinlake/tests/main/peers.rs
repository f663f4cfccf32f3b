//! `pinlake batch` against a computation that shares nothing with it: the same rows, and the ten answers byte for byte.
//!
//! The peer is `tests/python/peers.py`; `PINLAKE_TEST_PYTHON` names a python that has those of `requirements.txt`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::readers::python;

/// Arguments of `generate`: from one post to some thousand, one record an object, compressed, with repeats and without.
const LAKES: [&str; 6] = [
    "--posts 1 --seed 1",
    "--posts 2 --seed 2 --duplicates 0.5 --partitions 1",
    "--posts 60 --seed 1 --duplicates 0.5 --flush 1",
    "--posts 400 --seed 2 --duplicates 0 --flush 7 --partitions 3 --gzip",
    "--posts 3000 --seed 3 --duplicates 0.5 --gzip",
    "--posts 3000 --seed 1 --duplicates 0 --flush 1000",
];

async fn pinlake(args: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_pinlake")).args(args).output().await.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

async fn batch(raw: &Path, out: &Path) -> String {
    pinlake([Path::new("batch"), raw, out]).await
}

/// Holds what `pinlake batch` wrote against the peer; `None` where there is no python.
async fn compare(pairs: &[(PathBuf, PathBuf)]) -> Option<Vec<Value>> {
    let paths: Vec<&PathBuf> = pairs.iter().flat_map(|(raw, out)| [raw, out]).collect();
    let reports = python("peers.py", &paths).await?;
    let reports = reports.as_array().unwrap();
    assert_eq!(reports.len(), pairs.len());
    for ((raw, out), report) in pairs.iter().zip(reports) {
        for table in ["pin", "geo", "user"] {
            let table = &report["tables"][table];
            assert_eq!(table["written"], table["computed"], "the rows cleaned from {}", raw.display());
        }
        let answers = std::fs::read_to_string(out.join("answers.json")).unwrap();
        let expected = report["answers"].as_str().unwrap();
        let difference = answers.lines().zip(expected.lines()).find(|(ours, theirs)| ours != theirs);
        assert_eq!(difference, None, "the answers of {}", raw.display());
        assert_eq!(answers, expected, "the answers of {}", raw.display());
    }
    Some(reports.clone())
}

#[tokio::test]
async fn generated_lakes_give_the_peers_rows_and_answers() {
    let folder = tempfile::tempdir().unwrap();
    let mut pairs = Vec::new();
    for (number, args) in LAKES.iter().enumerate() {
        let pair = (folder.path().join(format!("raw{number}")), folder.path().join(format!("out{number}")));
        let generate = ["generate".into(), pair.0.clone()].into_iter();
        pinlake(generate.chain(args.split(' ').map(PathBuf::from))).await;
        batch(&pair.0, &pair.1).await;
        pairs.push(pair);
    }
    compare(&pairs).await;
}

/// Posts on the edges: country, category, poster, followers, time, age, joining time.
type Edge = (&'static str, &'static str, &'static str, &'static str, &'static str, i64, &'static str);

#[rustfmt::skip]
const EDGES: [Edge; 26] = [
    // Years: the last second before 2018 and the first of it, the last of 2022 and the first after.
    ("Aruba", "art", "A", "10", "2017-12-31T23:59:59", 18, "2014-12-31T23:59:59"),
    ("Aruba", "art", "A", "10", "2018-01-01T00:00:00", 24, "2015-01-01T00:00:00"),
    ("Aruba", "beauty", "B", "1.2k", "2022-12-31T23:59:59", 25, "2020-12-31T23:59:59"),
    ("Aruba", "beauty", "B", "1200", "2023-01-01T00:00:00", 35, "2021-01-01T00:00:00"),
    // Ages that belong to no group, or to the next one.
    ("Malta", "art", "C", "5", "2019-02-28T12:00:00", 17, "2016-02-29T00:00:00"),
    ("Malta", "quotes", "D", "6", "2020-02-29T12:00:00", 0, "2016-02-29T00:00:00"),
    ("Malta", "travel", "E", "7", "2020-02-29T12:00:01", 36, "2016-02-29T00:00:00"),
    ("Malta", "travel", "E", "8", "2021-06-01T00:00:00", 50, "2016-12-31T23:59:59"),
    ("Malta", "quotes", "F", "8", "2021-06-01T00:00:00", 51, "2017-01-01T00:00:00"),
    ("Malta", "quotes", "F", "9", "2021-06-01T00:00:00", 120, "2017-01-01T00:00:00"),
    // Nothing known: no category, no poster but the most followers of the country, no followers.
    ("Samoa", "", "G", "1M", "2021-01-01T00:00:00", 40, "2018-05-05T05:05:05"),
    ("Samoa", "art", "User Info Error", "2M", "2021-01-01T00:00:00", 41, "2018-05-05T05:05:05"),
    ("Samoa", "art", "", "User Info Error", "2021-01-01T00:00:00", 42, "2018-05-05T05:05:05"),
    ("Tonga", "art", "H", "", "2021-01-01T00:00:00", 43, "2019-01-01T00:00:00"),
    // Equal rows are one; two posters with as many followers are both the top. The last two are one user, the first two are not.
    ("Chile", "tattoos", "I", "15M", "2022-01-01T00:00:00", 19, "2015-06-01T00:00:00"),
    ("Chile", "tattoos", "I", "15000K", "2022-01-01T00:00:00", 19, "2015-06-01T00:00:00"),
    ("Chile", "vehicles", "J, Inc. ", "15M", "2022-01-01T00:00:00", 20, "2015-06-01T00:00:00"),
    ("Yemen", "vehicles", "J, Inc. ", "15M", "2022-01-01T00:00:00", 20, "2015-06-01T00:00:00"),
    // Text is compared by code points and written as it is; counts are ranked as numbers.
    ("Côte d'Ivoire", "diy-and-crafts", "Zoë \u{1f600}", "942000", "2019-09-09T09:09:09", 30, "2017-07-07T07:07:07"),
    ("Côte d'Ivoire", "diy-and-crafts", "\u{ff5e}wide", "6M", "2019-09-09T09:09:09", 31, "2017-07-07T07:07:07"),
    ("Côte d'Ivoire", "Diy", "\u{1f600} first", "6M", "2019-09-09T09:09:09", 32, "2017-07-07T07:07:07"),
    ("\u{1f30d} \"World\" \\ \u{7f}\u{1}\t/\u{2028}", "art", "\u{a0}K ", "3", "2019-09-09T09:09:09", 33, "2017-07-07T07:07:07"),
    ("\u{ff21}", "art", "L", "0", "2019-09-09T09:09:09", 34, "2017-07-07T07:07:07"),
    ("a", "art", "M", "9", "2018-03-03T03:03:03", 60, "2020-03-03T03:03:03"),
    ("a", "art", "M", "10", "2018-03-03T03:03:03", 61, "2020-03-03T03:03:03"),
    ("a", "art", "M", "0.5B", "2018-03-03T03:03:03", 62, "2020-03-03T03:03:03"),
];

/// Texts that stand for nothing, and some that nearly do.
const TITLES: [&str; 5] = ["No Title Data Available", "Untitled", "", "untitled", "No Title Data Available."];
const DESCRIPTIONS: [&str; 5] =
    ["No description available", "No description available Story format", "Untitled", "", " No description available"];
const TAGS: [&str; 3] = ["N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e", "No Tags Available", "a, b"];
const IMAGES: [&str; 3] = ["Image src error.", "Image src error", "x.jpg"];
const PLACES: [&str; 4] = ["Local save in /data/art", "", "/data/Local save in ", "Local save in"];

/// The three records of an edge, in the forms that emulators give them.
fn records(key: usize, edge: &Edge) -> [Value; 3] {
    let (country, category, poster, followers, time, age, joined) = *edge;
    let (pin_key, other_key) = if key.is_multiple_of(3) { ("ind", "index") } else { ("index", "ind") };
    let (time, joined) =
        if key.is_multiple_of(2) { (time.replace('T', " "), joined.replace('T', " ")) } else { (time.into(), joined.into()) };
    let mut pin = json!({
        pin_key: key, "unique_id": format!("id-{key}"), "title": TITLES[key % 5], "poster_name": poster,
        "follower_count": followers, "tag_list": TAGS[key % 3], "is_image_or_video": "image", "image_src": IMAGES[key % 3],
        "downloaded": 1, "category": category,
    });
    if !key.is_multiple_of(7) {
        pin["description"] = DESCRIPTIONS[key % 5].into();
        pin["save_location"] = PLACES[key % 4].into();
    }
    let geo = json!({other_key: key, "timestamp": time, "latitude": -0.1 * key as f64, "longitude": 179.999, "country": country});
    let user = json!({other_key: key, "first_name": "Ada", "last_name": format!("L {}", key / 3 % 2), "age": age, "date_joined": joined});
    [pin, geo, user]
}

/// Lines that are no row, a table each.
fn refused() -> [Vec<String>; 3] {
    let common = ["[1,2]", "\"text\"", "7", "null x", "{\"ind\":"].map(str::to_owned);
    let wrong = [
        vec![
            r#"{"index":500,"follower_count":"many"}"#,
            r#"{"index":501,"follower_count":"1,000"}"#,
            r#"{"index":502,"follower_count":"-1k"}"#,
        ],
        vec![r#"{"ind":500,"timestamp":"yesterday","latitude":1,"longitude":2,"country":"Aruba"}"#],
        vec![r#"{"ind":500,"first_name":"A","last_name":"B","age":"old","date_joined":"2016-01-01T00:00:00"}"#],
    ];
    wrong.map(|wrong| common.iter().cloned().chain(wrong.into_iter().map(str::to_owned)).collect())
}

/// Writes two objects a topic: the posts; then repeats of them, later versions of them, and lines that are no row.
fn write_edges(raw: &Path) {
    let mut objects = [[const { String::new() }; 2], [const { String::new() }; 2], [const { String::new() }; 2]];
    for (key, edge) in EDGES.iter().enumerate() {
        let later = (edge.0, "later", "Later", "99M", edge.4, 99, edge.6);
        for (table, record) in records(key, edge).into_iter().enumerate() {
            let line = record.to_string();
            writeln!(objects[table][0], "{line}").unwrap();
            let again =
                if key.is_multiple_of(2) { line } else { Value::from(records(key, &later)[table].to_string()).to_string() };
            writeln!(objects[table][1], "{again}").unwrap();
        }
    }
    for (table, lines) in refused().into_iter().enumerate() {
        objects[table][1].extend(lines.iter().map(|line| format!("{line}\n")));
    }
    for (table, objects) in ["pin", "geo", "user"].into_iter().zip(objects) {
        let folder = raw.join(format!("topics/0a1b2c3d4e5f.{table}/partition=0"));
        std::fs::create_dir_all(&folder).unwrap();
        for (start, object) in [0, EDGES.len()].into_iter().zip(objects) {
            std::fs::write(folder.join(format!("0a1b2c3d4e5f.{table}+0+{start:010}.json")), object).unwrap();
        }
    }
}

#[tokio::test]
async fn a_lake_of_edges_gives_the_peers_rows_and_answers() {
    let folder = tempfile::tempdir().unwrap();
    let (raw, out) = (folder.path().join("raw"), folder.path().join("out"));
    write_edges(&raw);
    let summary = batch(&raw, &out).await;
    let Some(reports) = compare(&[(raw, out)]).await else { return };
    for (table, lines) in ["pin", "geo", "user"].into_iter().zip(refused()) {
        assert_eq!(reports[0]["refused"][table], lines.len(), "the peer refuses each wrong line of {table}");
        let line = summary.lines().find(|line| line.starts_with(&format!("{table}: "))).unwrap();
        let (rows, refused) = (EDGES.len(), lines.len());
        assert!(line.contains(&format!(" {rows} rows,")) && line.ends_with(&format!(" {refused} quarantined")), "{line}");
    }
}
