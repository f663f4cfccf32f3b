//! The ten questions under every choice that they leave open, against the same worked out here, without SQL.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::server::Server;

const POSTS: u64 = 300;

/// A post with the few values that the questions look at.
struct Post {
    ind: u64,
    category: Option<&'static str>,
    poster: Option<&'static str>,
    followers: Option<u64>,
    country: &'static str,
    year: u64,
    user: &'static str,
    age: u64,
    joined: u64,
}

/// What is chosen.
#[derive(Clone, Copy)]
struct Meaning {
    first: bool,
    approx: bool,
    rows: bool,
}

/// Posts of few values each, so that places are shared, counts are even and users post again.
fn posts() -> Vec<Post> {
    let mut state = 6_u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut post = |ind| Post {
        ind,
        category: [None, Some("art"), Some("home"), Some("quotes"), Some("travel")][draw(5) as usize],
        poster: [None, Some("Ann"), Some("Bo"), Some("Cy"), Some("Di"), Some("Ed")][draw(6) as usize],
        followers: Some(draw(40)).filter(|followers| followers % 9 != 0),
        country: ["Chad", "Fiji", "Mali", "Peru", "Togo", "Åland"][draw(6) as usize],
        year: 2016 + draw(8),
        user: ["Gus Ito", "Jo Kay", "Lu Mann"][draw(3) as usize],
        age: [17, 18, 24, 25, 35, 36, 50, 51, 80][draw(9) as usize],
        joined: 2014 + draw(8),
    };
    (0..POSTS).map(&mut post).collect()
}

async fn send(server: &Server, posts: &[Post]) {
    let pin = |post: &Post| {
        json!({"index": post.ind, "category": post.category, "poster_name": post.poster,
               "follower_count": post.followers.map(|followers| followers.to_string())})
    };
    let geo =
        |post: &Post| json!({"ind": post.ind, "country": post.country, "timestamp": format!("{}-12-31T23:59:59", post.year)});
    let user = |post: &Post| {
        let (first, last) = post.user.split_once(' ').unwrap();
        json!({"ind": post.ind, "first_name": first, "last_name": last, "age": post.age,
               "date_joined": format!("{}-01-01T00:00:00", post.joined)})
    };
    let all: [(&str, Vec<Value>); 3] = [
        ("pin", posts.iter().map(pin).collect()),
        ("geo", posts.iter().map(geo).collect()),
        ("user", posts.iter().map(user).collect()),
    ];
    for (topic, values) in all {
        let records: Vec<Value> = values.into_iter().map(|value| json!({"value": value})).collect();
        let request = reqwest::Client::new().post(format!("{}/topics/asked.{topic}", server.url));
        let request = request.header("content-type", "application/vnd.kafka.json.v2+json");
        let answer = request.body(json!({"records": records}).to_string()).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
    }
}

/// How often each value is there.
fn counted<K: Ord>(values: impl Iterator<Item = K>) -> BTreeMap<K, u64> {
    values.fold(BTreeMap::new(), |mut counts, value| {
        *counts.entry(value).or_default() += 1;
        counts
    })
}

/// Of each group the names with the highest number: all, or the first by name.
fn top<G: Ord + Copy, N: Ord + Copy>(numbers: &BTreeMap<(G, N), u64>, meaning: Meaning) -> Vec<(G, N, u64)> {
    let groups: BTreeSet<G> = numbers.keys().map(|(group, _)| *group).collect();
    let of_group = |group: G| {
        let ours = || numbers.iter().filter(move |((other, _), _)| *other == group);
        let highest = ours().map(|(_, number)| *number).max();
        let ties =
            ours().filter(move |(_, number)| Some(**number) == highest).map(|((group, name), number)| (*group, *name, *number));
        ties.take(if meaning.first { 1 } else { usize::MAX })
    };
    groups.into_iter().flat_map(of_group).collect()
}

fn median<G: Ord>(values: impl Iterator<Item = (G, u64)>, meaning: Meaning) -> Vec<(G, f64)> {
    let mut groups: BTreeMap<G, Vec<u64>> = BTreeMap::new();
    values.for_each(|(group, value)| groups.entry(group).or_default().push(value));
    let middle = |mut values: Vec<u64>| {
        values.sort_unstable();
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        if meaning.approx { low as f64 } else { (low + high) as f64 / 2.0 }
    };
    groups.into_iter().map(|(group, values)| (group, middle(values))).collect()
}

fn age_group(post: &Post) -> Option<&'static str> {
    match post.age {
        18..=24 => Some("18-24"),
        25..=35 => Some("25-35"),
        36..=50 => Some("36-50"),
        51.. => Some("+50"),
        _ => None,
    }
}

/// The answers by question, in the order of their rows.
fn answers(posts: &[Post], meaning: Meaning) -> Vec<(&'static str, Vec<Value>)> {
    let categories = || posts.iter().filter_map(|post| Some((post, post.category?)));
    let by_year = counted(categories().filter(|(post, _)| (2018..=2022).contains(&post.year)).map(|(post, of)| (post.year, of)));
    let mut highest: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for (post, poster, followers) in posts.iter().filter_map(|post| Some((post, post.poster?, post.followers?))) {
        let best = highest.entry((post.country, poster)).or_default();
        *best = followers.max(*best);
    }
    let countries: BTreeMap<((), &str), u64> = highest.iter().fold(BTreeMap::new(), |mut best, ((country, _), followers)| {
        let of = best.entry(((), *country)).or_default();
        *of = (*followers).max(*of);
        best
    });
    let followed = || posts.iter().filter_map(|post| Some((post, post.followers?)));
    let joined = |post: &Post| (2015..=2020).contains(&post.joined).then_some(post.joined);
    let who = |post: &Post| (post.user, post.age, post.joined, if meaning.rows { post.ind } else { 0 });
    let users: BTreeSet<_> = posts.iter().filter(|post| joined(post).is_some()).map(who).collect();
    let triples = |of: Vec<(&str, &str, u64)>| of.into_iter().map(|(a, b, n)| json!([a, b, n])).collect::<Vec<_>>();
    vec![
        ("popular_category_by_country", triples(top(&counted(categories().map(|(post, of)| (post.country, of))), meaning))),
        ("posts_by_category_and_year", by_year.iter().map(|((year, of), n)| json!([year, of, n])).collect()),
        ("popular_category_by_year", top(&by_year, meaning).into_iter().map(|(year, of, n)| json!([year, of, n])).collect()),
        ("top_user_by_country", triples(top(&highest, meaning))),
        ("country_of_top_user", top(&countries, meaning).into_iter().map(|((), country, n)| json!([country, n])).collect()),
        (
            "popular_category_by_age_group",
            triples(top(&counted(categories().filter_map(|(post, of)| Some((age_group(post)?, of)))), meaning)),
        ),
        (
            "median_followers_by_age_group",
            median(followed().filter_map(|(post, n)| Some((age_group(post)?, n))), meaning)
                .into_iter()
                .map(|of| json!(of))
                .collect(),
        ),
        ("users_joined_by_year", counted(users.iter().map(|user| user.2)).into_iter().map(|of| json!(of)).collect()),
        (
            "median_followers_by_join_year",
            median(followed().filter_map(|(post, n)| Some((joined(post)?, n))), meaning)
                .into_iter()
                .map(|of| json!(of))
                .collect(),
        ),
        (
            "median_followers_by_join_year_and_age_group",
            median(followed().filter_map(|(post, n)| Some(((joined(post)?, age_group(post)?), n))), meaning)
                .into_iter()
                .map(|((year, group), n)| json!([year, group, n]))
                .collect(),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_question_is_right_under_every_choice() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), "127.0.0.1:0").await;
    let posts = posts();
    send(&server, &posts).await;
    let plain = Meaning { first: false, approx: false, rows: false };
    let all = Meaning { first: true, approx: true, rows: true };
    let mut differ = 0;
    for (meaning, set) in [(plain, ""), (all, "?set=ties=first,median=approx,users=rows")] {
        for ((name, expected), (_, default)) in answers(&posts, meaning).into_iter().zip(answers(&posts, plain)) {
            let answer = server.get(&format!("/api/v1/questions/{name}{set}")).await;
            assert_eq!(answer["rows"], json!(expected), "{name}{set}");
            differ += usize::from(expected != default);
        }
    }
    assert_eq!(differ, 9, "all but the list of counts leave something open, and the posts show it");
    let refused = reqwest::get(format!("{}/api/v1/questions/top_user_by_country?set=ties=last", server.url)).await.unwrap();
    assert_eq!(refused.status().as_u16(), 400);
    let reason = refused.text().await.unwrap();
    assert!(
        reason.contains("'ties=last' is no choice of this pipeline: there are ties=all|first, median=exact|approx"),
        "{reason}"
    );
}
