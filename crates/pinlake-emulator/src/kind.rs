//! The three kinds of record that one post makes, and what each is called where.

/// One of a post's three records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The pin: what was posted.
    Pin,
    /// Where and when.
    Geo,
    /// By whom.
    User,
}

impl Kind {
    /// All three, in the order in which the classic scripts post them.
    pub const ALL: [Kind; 3] = [Kind::Pin, Kind::Geo, Kind::User];

    /// The name that ends its topic and stream: `pin`, `geo`, `user`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::Geo => "geo",
            Self::User => "user",
        }
    }

    /// Its table in the classic MySQL database.
    pub fn mysql_table(self) -> &'static str {
        match self {
            Self::Pin => "pinterest_data",
            Self::Geo => "geolocation_data",
            Self::User => "user_data",
        }
    }

    /// Its topic behind the Kafka REST door.
    pub fn topic(self, id: &str) -> String {
        format!("{id}.{}", self.name())
    }

    /// Its stream behind the Kinesis gateway door.
    pub fn stream(self, id: &str) -> String {
        format!("streaming-{id}-{}", self.name())
    }
}
