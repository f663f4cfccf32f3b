//! The word lists behind the texts, one file a list under `words/`. Must hold no text of other people's posts.

/// The thirteen categories with the source row at which each one's block starts.
pub(super) const CATEGORIES: [(&str, u64); 13] = [
    ("art", 0),
    ("beauty", 894),
    ("christmas", 1_642),
    ("diy-and-crafts", 2_627),
    ("education", 3_471),
    ("event-planning", 4_331),
    ("finance", 5_078),
    ("home-decor", 5_865),
    ("mens-fashion", 6_729),
    ("quotes", 7_573),
    ("tattoos", 8_485),
    ("travel", 9_461),
    ("vehicles", 10_314),
];

/// How often the most frequent countries are drawn, in parts of 1,000; the others share the rest, early ones more often.
const FREQUENT: [(&str, f64); 10] = [
    ("Algeria", 49.0),
    ("Albania", 48.0),
    ("Afghanistan", 36.0),
    ("American Samoa", 34.0),
    ("Aruba", 32.0),
    ("Argentina", 26.0),
    ("Andorra", 19.0),
    ("Armenia", 17.0),
    ("Antarctica (the territory South of 60 deg S)", 15.0),
    ("Austria", 14.5),
];

/// All lists, split into their entries.
#[derive(Debug)]
pub(super) struct Words {
    /// Country names with the share of draws below each.
    pub(super) countries: Vec<(f64, &'static str)>,
    pub(super) first_names: Vec<&'static str>,
    pub(super) last_names: Vec<&'static str>,
    /// Things to post about, by category.
    pub(super) subjects: Vec<Vec<&'static str>>,
    pub(super) adjectives: Vec<&'static str>,
    pub(super) tails: Vec<&'static str>,
    pub(super) sentences: Vec<&'static str>,
    /// Latin text beyond ASCII.
    pub(super) accents: Vec<&'static str>,
    /// Text in other scripts.
    pub(super) scripts: Vec<&'static str>,
    pub(super) emoji: Vec<&'static str>,
    pub(super) poster_first: Vec<&'static str>,
    pub(super) poster_second: Vec<&'static str>,
    pub(super) poster_tails: Vec<&'static str>,
}

impl Words {
    pub(super) fn load() -> Self {
        let lines = |text: &'static str| text.lines().collect::<Vec<_>>();
        let subjects = include_str!("words/subjects.txt").lines().filter_map(|line| line.split_once(": "));
        Self {
            countries: shares(&lines(include_str!("words/countries.txt"))),
            first_names: lines(include_str!("words/first_names.txt")),
            last_names: lines(include_str!("words/last_names.txt")),
            subjects: subjects.map(|(_, subjects)| subjects.split('|').collect()).collect(),
            adjectives: lines(include_str!("words/adjectives.txt")),
            tails: lines(include_str!("words/tails.txt")),
            sentences: lines(include_str!("words/sentences.txt")),
            accents: lines(include_str!("words/accents.txt")),
            scripts: lines(include_str!("words/scripts.txt")),
            emoji: lines(include_str!("words/emoji.txt")),
            poster_first: lines(include_str!("words/poster_first.txt")),
            poster_second: lines(include_str!("words/poster_second.txt")),
            poster_tails: lines(include_str!("words/poster_tails.txt")),
        }
    }

    /// The number of the country at `fraction` of all draws, and its share of them.
    pub(super) fn country(&self, fraction: f64) -> (usize, f64) {
        let next = self.countries.partition_point(|(below, _)| *below <= fraction);
        let end = self.countries.get(next).map_or(1.0, |(below, _)| *below);
        (next - 1, end - self.countries[next - 1].0)
    }
}

fn shares(names: &[&'static str]) -> Vec<(f64, &'static str)> {
    let frequent = |name: &str| FREQUENT.iter().find(|(other, _)| *other == name).map(|(_, parts)| parts / 1_000.0);
    let early = |rank: usize| 1.0 / (rank as f64 + 25.0);
    let taken: f64 = FREQUENT.iter().map(|(_, parts)| parts / 1_000.0).sum();
    let others: f64 = (0..names.len()).filter(|rank| frequent(names[*rank]).is_none()).map(early).sum();
    let mut below = 0.0;
    let mut shares = Vec::with_capacity(names.len());
    for (rank, name) in names.iter().enumerate() {
        shares.push((below, *name));
        below += frequent(name).unwrap_or_else(|| early(rank) * (1.0 - taken) / others);
    }
    shares
}
