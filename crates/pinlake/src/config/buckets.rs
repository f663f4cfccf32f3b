//! `connect` and `firehose`: where connectors and delivery streams write, and what stands between records. Plain data.

use pinlake_sink::firehose::Delimiter;
use serde::Deserialize;

use super::Config;

/// Connectors, as configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectConfig {
    buckets: String,
}

/// Delivery streams, as configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FirehoseConfig {
    delimiter: DelimiterConfig,
    buckets: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DelimiterConfig {
    Newline,
    Exact,
}

impl FirehoseConfig {
    pub(crate) fn delimiter(&self) -> Delimiter {
        match self.delimiter {
            DelimiterConfig::Newline => Delimiter::Newline,
            DelimiterConfig::Exact => Delimiter::Exact,
        }
    }
}

impl Config {
    /// Where connectors' buckets are kept that have no address of their own.
    pub(crate) fn buckets_location(&self) -> String {
        let own = || self.data_dir.join("buckets").to_string_lossy().into_owned();
        if self.connect.buckets.is_empty() { own() } else { self.connect.buckets.clone() }
    }

    /// Where delivery streams' buckets are kept.
    pub(crate) fn delivery_buckets_location(&self) -> String {
        if self.firehose.buckets.is_empty() { self.buckets_location() } else { self.firehose.buckets.clone() }
    }
}
