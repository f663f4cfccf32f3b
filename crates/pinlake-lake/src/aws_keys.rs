//! The keys that this machine has for AWS, found as the object store finds its own: in the environment, by a web identity, from the
//! container or from the instance. For those who sign something other than requests to a store.

use object_store::aws::{AmazonS3Builder, AwsCredentialProvider};
use pinlake_core::secret::Secret;
use pinlake_core::{Error, Result};

/// No bucket is ever asked: keys are found in the same way for all.
const NO_BUCKET: &str = "none";

/// Where the keys come from. They are fetched again before they end.
#[derive(Debug)]
pub struct AwsKeys(AwsCredentialProvider);

/// Keys of one moment.
#[derive(Debug, Clone)]
pub struct AwsKey {
    /// The access key's id.
    pub id: String,
    /// The secret key.
    pub secret: Secret,
    /// The token that goes with keys which end.
    pub session_token: Option<Secret>,
}

impl AwsKeys {
    /// The keys of this process, of which those that need a region are asked for in `region`.
    ///
    /// # Errors
    /// `Invalid` if the environment is of no use.
    pub fn of_environment(region: &str) -> Result<Self> {
        let built = AmazonS3Builder::from_env().with_bucket_name(NO_BUCKET).with_region(region).build();
        let store = built.map_err(|e| Error::invalid("the settings of AWS in the environment do not work").with_source(e))?;
        Ok(Self(store.credentials().clone()))
    }

    /// The keys as they are now.
    ///
    /// # Errors
    /// `Invalid` if there are none.
    pub async fn now(&self) -> Result<AwsKey> {
        let failed = |e| {
            let text = "no AWS keys are found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role";
            Error::invalid(text).with_source(e)
        };
        let found = self.0.get_credential().await.map_err(failed)?;
        Ok(AwsKey {
            id: found.key_id.clone(),
            secret: Secret::new(found.secret_key.clone()),
            session_token: found.token.clone().map(Secret::new),
        })
    }
}
