//! How streams, shards and consumers are called by clients: names, ARNs and ids. It must not look anything up.

#[cfg(test)]
mod tests;

use pinlake_core::{Timestamp, TopicName};

use super::wording::{Words, argument};
use crate::aws::error::AwsError;
use crate::aws::value::Value;

/// Something that has an ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) account: String,
    pub(crate) stream: String,
    /// A consumer of the stream, and its second of registration.
    pub(crate) consumer: Option<(String, i64)>,
}

impl Resource {
    /// Reads `arn:aws:kinesis:REGION:ACCOUNT:stream/NAME` and the same with `/consumer/NAME:SECOND` behind it.
    pub(crate) fn parse(arn: &str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        let (scheme, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
        let (_region, account, rest) = (parts.next()?, parts.next()?, parts.next()?);
        let path = rest.strip_prefix("stream/")?;
        if scheme != "arn" || !partition.starts_with("aws") || service != "kinesis" {
            return None;
        }
        let (stream, consumer) = match path.split_once("/consumer/") {
            None => (path, None),
            Some((stream, consumer)) => {
                let (name, second) = consumer.rsplit_once(':')?;
                (stream, Some((name.to_owned(), second.parse().ok()?)))
            }
        };
        Some(Self { account: account.to_owned(), stream: stream.to_owned(), consumer })
    }

    /// A stream of this account.
    pub(crate) fn of_stream(words: &Words, stream: &TopicName) -> Self {
        Self { account: words.account.to_string(), stream: stream.to_string(), consumer: None }
    }

    /// The stream's name, if the account is this one.
    pub(crate) fn stream(&self, words: &Words) -> Result<TopicName, AwsError> {
        if *self.account != *words.account {
            let theirs = Words { account: self.account.as_str().into(), ..words.clone() };
            return Err(theirs.no_stream(&self.stream));
        }
        name(words, &self.stream)
    }
}

/// A stream's ARN.
pub(crate) fn stream_arn(words: &Words, stream: &TopicName) -> String {
    format!("arn:aws:kinesis:{}:{}:stream/{stream}", words.region, words.account)
}

/// A consumer's ARN.
pub(crate) fn consumer_arn(words: &Words, stream: &TopicName, consumer: &str, created: Timestamp) -> String {
    format!("{}/consumer/{consumer}:{}", stream_arn(words, stream), created.0.div_euclid(1000))
}

/// The stream that a call is about: `StreamName` or `StreamARN`; who gives both means one.
pub(crate) fn stream_of(words: &Words, input: &Value) -> Result<TopicName, AwsError> {
    let given = input.text("StreamName");
    let Some(arn) = input.text("StreamARN") else {
        let given = given.ok_or_else(|| argument("Either StreamName or StreamARN should be provided."))?;
        return name(words, given);
    };
    let resource = resource(arn)?;
    if resource.consumer.is_some() {
        return Err(not_an_arn(arn));
    }
    match given {
        Some(given) if given != resource.stream => Err(argument(format!(
            "StreamName {given} is not the stream of StreamARN {arn}: give one of them, or both of one stream."
        ))),
        _ => resource.stream(words),
    }
}

/// What an ARN names.
pub(crate) fn resource(arn: &str) -> Result<Resource, AwsError> {
    Resource::parse(arn).ok_or_else(|| not_an_arn(arn))
}

fn not_an_arn(arn: &str) -> AwsError {
    let arn: String = arn.chars().take(300).collect();
    argument(format!(
        "{arn} is not the ARN of what this call is about: arn:aws:kinesis:REGION:ACCOUNT:stream/NAME is a stream's."
    ))
}

/// A topic's name. No stream can have one that topics can't.
pub(crate) fn name(words: &Words, name: &str) -> Result<TopicName, AwsError> {
    TopicName::new(name).map_err(|_| words.no_stream(name))
}

/// The number that a shard's id ends with; what stands before the hyphen says nothing, as with AWS.
pub(crate) fn shard_number(id: &str) -> Option<u32> {
    let digits = id.split_once('-').map_or(id, |(_, digits)| digits);
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: i32 = all_digits.then(|| digits.parse().ok())??;
    u32::try_from(number).ok()
}
