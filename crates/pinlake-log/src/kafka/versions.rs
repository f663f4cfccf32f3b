//! Which versions of which APIs are spoken: the newest that both sides know.

use std::collections::HashMap;

use kafka_protocol::messages::{ApiKey, ApiVersionsResponse};
use pinlake_core::{Error, Result};

/// What is spoken here. Topics are named, not numbered: Fetch ends at 12 and Produce at 12, which all brokers up to 4.x know.
pub(super) const OURS: [(ApiKey, i16, i16); 15] = [
    (ApiKey::Produce, 3, 12),
    (ApiKey::Fetch, 4, 12),
    (ApiKey::ListOffsets, 2, 8),
    (ApiKey::Metadata, 4, 12),
    (ApiKey::ApiVersions, 0, 3),
    (ApiKey::SaslHandshake, 1, 1),
    (ApiKey::SaslAuthenticate, 0, 2),
    (ApiKey::CreateTopics, 2, 7),
    (ApiKey::DeleteTopics, 1, 5),
    (ApiKey::CreatePartitions, 0, 3),
    (ApiKey::DeleteRecords, 0, 2),
    (ApiKey::DescribeConfigs, 1, 4),
    (ApiKey::AlterConfigs, 0, 2),
    (ApiKey::IncrementalAlterConfigs, 0, 1),
    (ApiKey::InitProducerId, 0, 4),
];

/// One API, as this client and a broker speak it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiRange {
    /// Kafka's name of it.
    pub api: String,
    /// The versions that the broker offers; `None` if it does not know the API.
    pub offered: Option<(i16, i16)>,
    /// The version that is spoken; `None` if there is none in common.
    pub spoken: Option<i16>,
}

/// What a broker speaks.
#[derive(Debug, Clone, Default)]
pub(super) struct Versions {
    theirs: HashMap<i16, (i16, i16)>,
}

impl Versions {
    /// What a broker says that it speaks.
    pub(super) fn of(response: &ApiVersionsResponse) -> Self {
        Self { theirs: response.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version))).collect() }
    }

    /// The version of an API to speak.
    ///
    /// # Errors
    /// `Invalid` if the broker does not know the API, or none of our versions.
    pub(super) fn pick(&self, key: i16) -> Result<i16> {
        let Some((api, least, most)) = OURS.iter().find(|(api, ..)| *api as i16 == key) else {
            return Err(Error::internal(format!("API {key} is not spoken here")));
        };
        let offered = self.theirs.get(&key);
        common((*least, *most), offered).ok_or_else(|| match offered {
            Some((min, max)) => {
                Error::invalid(format!("the broker speaks {api:?} of versions {min} to {max}, Pinlake {least} to {most}"))
            }
            None => Error::invalid(format!("the broker does not know {api:?}: Pinlake takes Kafka 1.0 or newer")),
        })
    }

    /// Refuses a broker without record batches of version 2.
    pub(super) fn check(&self) -> Result<()> {
        for key in [ApiKey::Produce, ApiKey::Fetch, ApiKey::ListOffsets, ApiKey::Metadata] {
            self.pick(key as i16)?;
        }
        Ok(())
    }

    /// Everything that is spoken here, beside what the broker offers.
    pub(super) fn ranges(&self) -> Vec<ApiRange> {
        let range = |(api, least, most): &(ApiKey, i16, i16)| {
            let offered = self.theirs.get(&(*api as i16));
            ApiRange { api: format!("{api:?}"), offered: offered.copied(), spoken: common((*least, *most), offered) }
        };
        OURS.iter().map(range).collect()
    }
}

fn common((least, most): (i16, i16), offered: Option<&(i16, i16)>) -> Option<i16> {
    let (min, max) = offered?;
    let version = most.min(*max);
    (version >= least && version >= *min).then_some(version)
}
