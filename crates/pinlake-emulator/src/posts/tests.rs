//! The generator against the rates that were measured at the source.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::*;

const RUN: u64 = 20_000;

fn run(seed: u64, options: &PostsOptions) -> Vec<Post> {
    Posts::new(seed, options).unwrap().collect()
}

fn run_of(posts: u64) -> Vec<Post> {
    run(42, &PostsOptions { posts, ..PostsOptions::default() })
}

/// The different posts of a run of 20,000, each record parsed.
struct Parsed {
    pins: Vec<Value>,
    geos: Vec<Value>,
    users: Vec<Value>,
}

impl Parsed {
    fn new() -> Self {
        let mut seen = HashSet::new();
        let (mut pins, mut geos, mut users) = (Vec::new(), Vec::new(), Vec::new());
        for post in run_of(RUN).into_iter().filter(|post| seen.insert(post.index)) {
            pins.push(serde_json::from_str(&post.pin).unwrap());
            geos.push(serde_json::from_str(&post.geo).unwrap());
            users.push(serde_json::from_str(&post.user).unwrap());
        }
        Self { pins, geos, users }
    }
}

fn share(rows: &[Value], test: impl Fn(&Value) -> bool) -> f64 {
    rows.iter().filter(|row| test(row)).count() as f64 / rows.len() as f64
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap()
}

#[track_caller]
fn near(what: &str, actual: f64, wanted: f64, tolerance: f64) {
    assert!((actual - wanted).abs() <= tolerance, "{what}: {actual:.4} is not within {tolerance} of {wanted}");
}

fn counts<K: Ord + Debug>(keys: impl Iterator<Item = K>) -> BTreeMap<K, u64> {
    keys.fold(BTreeMap::new(), |mut counts, key| {
        *counts.entry(key).or_default() += 1;
        counts
    })
}

#[test]
fn a_run_is_the_same_each_time_and_in_each_version() {
    let digest = |seed| {
        let all: String = run(seed, &PostsOptions { posts: 500, ..PostsOptions::default() })
            .into_iter()
            .map(|post| format!("{}\n{}\n{}\n", post.pin, post.geo, post.user))
            .collect();
        format!("{:016x}", xxh3_64(all.as_bytes()))
    };
    assert_eq!(digest(42), digest(42));
    assert_ne!(digest(42), digest(43));
    // Changing this means that people's seeds give other posts: say so in the changelog.
    assert_eq!(digest(42), "4631b338fd6b8f8c");
}

#[test]
fn each_post_has_three_records_with_its_key_and_the_fields_in_the_sources_order() {
    let names = |text: &str| {
        let value: Value = serde_json::from_str(text).unwrap();
        value.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>().join(" ")
    };
    for post in run_of(300) {
        let [pin, geo, user]: [Value; 3] = [&post.pin, &post.geo, &post.user].map(|text| serde_json::from_str(text).unwrap());
        assert_eq!([&pin["index"], &geo["ind"], &user["ind"]].map(Value::as_u64), [Some(post.index); 3]);
        assert_eq!(
            names(&post.pin),
            "index unique_id title description poster_name follower_count tag_list is_image_or_video image_src downloaded \
             save_location category"
        );
        assert_eq!(names(&post.geo), "ind timestamp latitude longitude country");
        assert_eq!(names(&post.user), "ind first_name last_name age date_joined");
    }
}

#[test]
fn exactly_the_asked_share_repeats_an_earlier_post_byte_for_byte() {
    let mut seen: HashMap<u64, Post> = HashMap::new();
    let mut repeats = 0;
    for post in run_of(5_000) {
        match seen.get(&post.index) {
            Some(earlier) => {
                repeats += 1;
                assert_eq!(*earlier, post);
            }
            None => drop(seen.insert(post.index, post)),
        }
    }
    assert_eq!((repeats, seen.len()), (500, 4_500));
}

#[test]
fn repeats_may_come_in_the_other_datetime_form() {
    let posts = run(42, &PostsOptions { posts: 2_000, datetimes: Datetimes::MixedRepeats, ..PostsOptions::default() });
    let mut forms: HashMap<u64, HashSet<String>> = HashMap::new();
    for post in &posts {
        forms.entry(post.index).or_default().insert(post.geo.clone());
    }
    let both: Vec<_> = forms.values().filter(|forms| forms.len() == 2).collect();
    assert!(both.len() > 50);
    for forms in both {
        assert_eq!(forms.iter().map(|geo| geo.replace('T', " ")).collect::<HashSet<_>>().len(), 1);
    }
    let all = |datetimes| run(1, &PostsOptions { posts: 100, datetimes, ..PostsOptions::default() });
    let eleventh = |post: &Post| text(&serde_json::from_str(&post.geo).unwrap(), "timestamp").chars().nth(10);
    assert!(all(Datetimes::T).iter().all(|post| eleventh(post) == Some('T')));
    assert!(all(Datetimes::Blank).iter().all(|post| eleventh(post) == Some(' ')));
}

#[test]
fn a_run_goes_on_where_it_stopped() {
    for datetimes in [Datetimes::Mixed, Datetimes::MixedRepeats] {
        let options = PostsOptions { posts: 400, datetimes, ..PostsOptions::default() };
        let whole = run(7, &options);
        let rest: Vec<_> = Posts::new(7, &options).unwrap().starting_at(150).collect();
        assert_eq!(rest, whole[150..]);
    }
}

#[test]
fn keys_are_the_sources_or_dense_in_a_longer_run() {
    let short = Posts::new(1, &PostsOptions { posts: 50, ..PostsOptions::default() }).unwrap();
    assert_eq!((short.keys(), short.unique()), (SOURCE_ROWS, 45));
    let keys: HashSet<u64> = run_of(RUN).iter().map(|post| post.index).collect();
    assert_eq!((keys.len(), *keys.iter().min().unwrap(), *keys.iter().max().unwrap()), (18_000, 0, 17_999));
}

#[test]
fn the_first_post_is_the_classic_one_broken_in_six_fields() {
    for seed in [1, 42, 100] {
        let post = run(seed, &PostsOptions { posts: 10, ..PostsOptions::default() }).swap_remove(0);
        let pin: Value = serde_json::from_str(&post.pin).unwrap();
        assert_eq!(pin["index"], 7_528);
        assert_eq!(pin["title"], "No Title Data Available");
        assert_eq!(pin["description"], "No description available Story format");
        assert_eq!(pin["poster_name"], "User Info Error");
        assert_eq!(pin["follower_count"], "User Info Error");
        assert_eq!(pin["tag_list"], "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e");
        assert_eq!(pin["image_src"], "Image src error.");
        assert_eq!(pin["downloaded"], 0);
        assert_eq!(pin["save_location"], format!("Local save in /data/{}", text(&pin, "category")));
    }
}

#[test]
fn wrong_options_are_refused() {
    for (posts, duplicates) in [(0, 0.1), (POSTS_MAX + 1, 0.1), (10, 1.0), (10, -0.1), (10, f64::NAN)] {
        let options = PostsOptions { posts, duplicates, ..PostsOptions::default() };
        assert!(Posts::new(1, &options).is_err(), "{options:?}");
    }
    assert_eq!(run(1, &PostsOptions { posts: 1, duplicates: 0.99, ..PostsOptions::default() }).len(), 1);
}

#[test]
fn pins_are_broken_at_the_sources_rates_and_together() {
    let Parsed { pins, .. } = Parsed::new();
    let is = |field: &'static str, wanted: &'static str| move |pin: &Value| text(pin, field) == wanted;
    let six_fold = is("title", "No Title Data Available");
    let story = is("is_image_or_video", "multi-video(story page format)");
    near("broken", share(&pins, six_fold), 18.0 / 2_780.0, 0.002);
    near("story", share(&pins, story), 192.0 / 2_780.0, 0.006);
    near("video", share(&pins, is("is_image_or_video", "video")), 87.0 / 2_780.0, 0.004);
    near("no description", share(&pins, is("description", "No description available")), 42.0 / 2_780.0, 0.003);
    near("image error", share(&pins, is("image_src", "Image src error.")), 57.0 / 2_780.0, 0.004);
    near("no tags", share(&pins, is("tag_list", "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e")), 34.0 / 2_780.0, 0.003);
    near("jpg", share(&pins, |pin| text(pin, "image_src").ends_with(".jpg")), 0.83, 0.02);
    near("png", share(&pins, |pin| text(pin, "image_src").ends_with(".png")), 0.148, 0.02);
    assert!(pins.iter().any(|pin| text(pin, "title").is_empty()));
    assert!(pins.iter().any(|pin| text(pin, "description").is_empty()));
    for pin in &pins {
        let has_error = is("image_src", "Image src error.")(pin);
        assert_eq!(story(pin), is("description", "No description available Story format")(pin), "{pin}");
        assert_eq!(has_error, pin["downloaded"] == 0, "{pin}");
        assert_eq!(six_fold(pin), is("poster_name", "User Info Error")(pin), "{pin}");
        assert_eq!(six_fold(pin), is("follower_count", "User Info Error")(pin), "{pin}");
        assert!(!six_fold(pin) || has_error && is("tag_list", "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e")(pin), "{pin}");
        assert!(!(has_error || six_fold(pin)) || story(pin), "{pin}");
    }
    let ids: HashSet<&str> = pins.iter().map(|pin| text(pin, "unique_id")).collect();
    assert_eq!(ids.len(), pins.len());
}

#[test]
fn followers_have_the_sources_forms_and_quantiles() {
    let Parsed { pins, .. } = Parsed::new();
    let mut followers = Vec::new();
    let mut forms: BTreeMap<char, u64> = BTreeMap::new();
    for count in pins.iter().map(|pin| text(pin, "follower_count")) {
        let unit = count.chars().last().unwrap();
        *forms.entry(if unit.is_ascii_digit() { '1' } else { unit }).or_default() += 1;
        let factor = match unit {
            'r' => continue,
            'k' => 1_000,
            'M' => 1_000_000,
            _ => 1,
        };
        followers.push(count.trim_end_matches(['k', 'M']).parse::<u64>().unwrap() * factor);
    }
    let form = |unit| forms[&unit] as f64 / pins.len() as f64;
    near("k", form('k'), 0.74, 0.025);
    near("plain", form('1'), 0.17, 0.02);
    near("M", form('M'), 0.08, 0.02);
    assert_eq!(forms.len(), 4);
    followers.sort_unstable();
    let below = |limit| followers.partition_point(|count| *count < limit) as f64 / followers.len() as f64;
    near("below 31", below(31), 0.05, 0.015);
    near("below 4k", below(4_000), 0.25, 0.025);
    near("below 32k", below(32_000), 0.5, 0.02);
    near("below 221k", below(221_000), 0.75, 0.02);
    near("below 2M", below(2_000_000), 0.95, 0.015);
    assert_eq!(followers[0], 0);
    assert!((10_000_000..=15_000_000).contains(followers.last().unwrap()));
}

#[test]
fn categories_are_thirteen_contiguous_blocks_in_the_sources_order() {
    let Parsed { mut pins, .. } = Parsed::new();
    pins.sort_by_key(|pin| pin["index"].as_u64());
    let mut blocks: Vec<(&str, u64)> = Vec::new();
    for pin in &pins {
        match blocks.last_mut() {
            Some((category, count)) if *category == text(pin, "category") => *count += 1,
            _ => blocks.push((text(pin, "category"), 1)),
        }
    }
    assert_eq!(
        blocks.iter().map(|(category, _)| *category).collect::<Vec<_>>().join(" "),
        "art beauty christmas diy-and-crafts education event-planning finance home-decor mens-fashion quotes tattoos travel vehicles"
    );
    assert!(blocks.iter().all(|(_, count)| (0.06..=0.10).contains(&(*count as f64 / pins.len() as f64))), "{blocks:?}");
}

#[test]
fn texts_keep_the_sources_lengths_and_hold_its_oddities() {
    let Parsed { pins, .. } = Parsed::new();
    let longest = |field| pins.iter().map(|pin| text(pin, field).chars().count()).max().unwrap();
    assert!((150..=text::TITLE_LEN_MAX).contains(&longest("title")), "{}", longest("title"));
    assert!((170..=text::DESCRIPTION_LEN_MAX).contains(&longest("description")), "{}", longest("description"));
    assert!((100..=text::POSTER_LEN_MAX).contains(&longest("poster_name")), "{}", longest("poster_name"));
    near("cut off", share(&pins, |pin| text(pin, "description").ends_with("…\u{a0}")), 0.35, 0.03);
    let any = |field: &str, test: fn(&str) -> bool| pins.iter().any(|pin| test(text(pin, field)));
    for field in ["title", "description"] {
        assert!(any(field, |text| text.chars().any(|it| it as u32 > 0x1F000)), "emoji in {field}");
        assert!(any(field, |text| text.chars().any(|it| (0x3040..0xA000).contains(&(it as u32)))), "other scripts in {field}");
        assert!(any(field, |text| text.contains("   ")), "runs of blanks in {field}");
        assert!(any(field, |text| text.contains('"')), "quotes in {field}");
        assert!(any(field, |text| text.contains('\u{a0}')), "no-break blanks in {field}");
        assert!(any(field, |text| text.contains('\n')), "line breaks in {field}");
        assert!(any(field, |text| text.contains('\\')), "backslashes in {field}");
    }
    assert!(any("tag_list", |text| text.contains(", ") && !text.starts_with("N,o")));
    assert!(any("poster_name", |text| text.ends_with(' ')) && any("poster_name", |text| text.contains(',')));
    let posters = counts(pins.iter().map(|pin| text(pin, "poster_name")));
    assert!(posters.len() < pins.len() * 3 / 4 && posters.len() > pins.len() / 3, "{}", posters.len());
}

#[test]
fn people_have_the_sources_ages_and_dates_and_many_posts() {
    let Parsed { users, .. } = Parsed::new();
    let aged = |from, to| share(&users, |user| (from..=to).contains(&user["age"].as_u64().unwrap()));
    near("20 to 24", aged(20, 24), 0.46, 0.025);
    near("25 to 35", aged(25, 35), 0.26, 0.025);
    near("36 to 50", aged(36, 50), 0.19, 0.02);
    near("over 50", aged(51, 60), 0.09, 0.02);
    let joined = |year| share(&users, |user| text(user, "date_joined").starts_with(year));
    near("2015", joined("2015"), 0.41, 0.025);
    near("2016", joined("2016"), 0.43, 0.025);
    near("2017", joined("2017"), 0.16, 0.02);
    let days: Vec<&str> = users.iter().map(|user| &text(user, "date_joined")[..10]).collect();
    assert!(*days.iter().min().unwrap() >= "2015-10-21" && *days.iter().max().unwrap() <= "2017-10-19");
}

#[test]
fn a_part_of_the_source_has_as_many_people_as_was_measured() {
    // 4,455 rows of the source were 2,607 people, 80 % of them with one row and one with 98.
    let options = PostsOptions { posts: 4_455, duplicates: 0.0, ..PostsOptions::default() };
    let people = run(42, &options).into_iter().map(|post| {
        let user: Value = serde_json::from_str(&post.user).unwrap();
        format!("{} {} {} {}", user["first_name"], user["last_name"], user["age"], &text(&user, "date_joined")[..10])
    });
    let people = counts(people);
    near("people", people.len() as f64, 2_607.0, 150.0);
    near("most posts", *people.values().max().unwrap() as f64, 98.0, 35.0);
    near("with one post", people.values().filter(|posts| **posts == 1).count() as f64 / people.len() as f64, 0.8, 0.04);
}

#[test]
fn places_have_the_sources_countries_and_times() {
    let Parsed { geos, users, .. } = Parsed::new();
    let countries = counts(geos.iter().map(|geo| text(geo, "country")));
    let part = |country| countries[country] as f64 / geos.len() as f64;
    near("Algeria", part("Algeria"), 0.049, 0.006);
    near("Albania", part("Albania"), 0.048, 0.006);
    near("Afghanistan", part("Afghanistan"), 0.036, 0.006);
    let mut most: Vec<u64> = countries.values().copied().collect();
    most.sort_unstable_by(|one, other| other.cmp(one));
    near("top ten", most[..10].iter().sum::<u64>() as f64 / geos.len() as f64, 0.29, 0.015);
    assert!((235..=241).contains(&countries.len()), "{}", countries.len());
    for awkward in ["Cote d'Ivoire", "Lao People's Democratic Republic", "Svalbard & Jan Mayen Islands"] {
        assert!(countries.contains_key(awkward), "{awkward}");
    }
    let year = |year| share(&geos, |geo| text(geo, "timestamp").starts_with(year));
    near("2017", year("2017"), 0.04, 0.01);
    for full in ["2018", "2019", "2020", "2021"] {
        near(full, year(full), 0.2, 0.015);
    }
    near("2022", year("2022"), 0.16, 0.015);
    for (geo, user) in geos.iter().zip(&users) {
        assert_eq!(text(geo, "timestamp").len(), 19);
        assert!(text(geo, "timestamp")[..10] > text(user, "date_joined")[..10]);
        assert!(geo["latitude"].as_f64().unwrap().abs() <= 90.0 && geo["longitude"].as_f64().unwrap().abs() <= 180.0);
    }
}

#[test]
fn a_third_of_as_many_rows_as_were_measured_repeats_anothers_place() {
    let posts = run(42, &PostsOptions { posts: 3_192, duplicates: 0.0, datetimes: Datetimes::T });
    let place = |post: &Post| post.geo.split_once("\"latitude\"").unwrap().1.to_owned();
    let places: HashSet<String> = posts.iter().map(place).collect();
    near("another's place", 1.0 - places.len() as f64 / posts.len() as f64, 0.333, 0.05);
}

#[test]
fn coordinates_survive_a_mysql_float() {
    for post in run_of(3_000) {
        let geo: Value = serde_json::from_str(&post.geo).unwrap();
        for field in ["latitude", "longitude"] {
            let shown = geo[field].to_string();
            let digits = shown.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0').count();
            assert!(digits <= 6, "{shown}");
            assert_eq!(shown.parse::<f32>().unwrap().to_string(), shown.trim_end_matches(".0"));
        }
    }
}
