//! Which topics feed a table, and which records of a topic that several tables share.

use wildmatch::WildMatchPattern;

use crate::position::TopicName;

/// A pattern with `*` for any run of characters; all others, `?` too, stand for themselves.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern(WildMatchPattern<'*', NO_WILDCARD>);

/// A character that no name has.
const NO_WILDCARD: char = '\0';

impl Pattern {
    /// Takes a pattern.
    pub fn new(text: &str) -> Self {
        Self(WildMatchPattern::new(text))
    }

    /// Whether it covers the whole of `text`.
    pub fn matches(&self, text: &str) -> bool {
        self.0.matches(text)
    }
}

/// The topics of one table.
#[derive(Debug, Clone, Default)]
pub struct TopicRule {
    /// Topics whose every record is the table's.
    pub topics: Vec<Pattern>,
    /// Topics that several tables share: the record's key decides.
    pub shared: Vec<Pattern>,
    /// Keys that are the table's in a shared topic.
    pub keys: Vec<Pattern>,
}

impl TopicRule {
    /// Whether the table reads `topic` at all.
    pub fn follows(&self, topic: &TopicName) -> bool {
        self.takes_all(topic) || self.shares(topic)
    }

    pub(super) fn takes_all(&self, topic: &TopicName) -> bool {
        matches_any(&self.topics, topic.as_str())
    }

    pub(super) fn shares(&self, topic: &TopicName) -> bool {
        !self.takes_all(topic) && matches_any(&self.shared, topic.as_str())
    }
}

/// Which records of a topic are a table's.
#[derive(Debug, Clone)]
pub enum Route {
    /// All of them.
    All,
    /// Those with a key of `own`. The first of the tables that share a topic also takes what no table wants (into its
    /// quarantine): for it `others` holds the keys that the other tables take.
    ByKey {
        /// The table's own keys.
        own: Vec<Pattern>,
        /// The other tables' keys, for the table that takes the rest.
        others: Option<Vec<Pattern>>,
    },
}

/// What a route says of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routed {
    /// The table's own.
    Here,
    /// Another table's.
    Elsewhere,
    /// Nobody's: to this table's quarantine.
    Unclaimed,
}

impl Route {
    /// Where a record with this key goes. A key that is a JSON string, as Kafka REST stores those of its JSON format, counts as
    /// its text.
    pub fn of(&self, key: Option<&[u8]>) -> Routed {
        let Self::ByKey { own, others } = self else { return Routed::Here };
        let key = key.and_then(|key| std::str::from_utf8(key).ok());
        let key = key.map(|key| key.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(key));
        let claimed = |patterns: &[Pattern]| key.is_some_and(|key| matches_any(patterns, key));
        if claimed(own) {
            return Routed::Here;
        }
        match others {
            Some(others) if !claimed(others) => Routed::Unclaimed,
            _ => Routed::Elsewhere,
        }
    }
}

fn matches_any(patterns: &[Pattern], text: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(text))
}
