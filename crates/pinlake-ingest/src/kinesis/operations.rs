//! The operations of Kinesis Data Streams, whatever codec they come in: an input whose types and constraints hold becomes an answer or an
//! error of AWS's. An operation that answers nothing gives `Null`.
//!
//! Not served: channels, queues, warm throughput and record distribution, which are AWS's own.

pub(crate) mod consumers;
pub(crate) mod records;
pub(crate) mod settings;
pub(crate) mod shards;
pub(crate) mod streams;
mod subscribe;
mod tags;

#[cfg(test)]
mod tests;

use pinlake_core::{Timestamp, TopicName};

use super::iterator::Seal;
use super::names::{self, Resource};
use super::plain::Plain;
use super::streams::changes::{Found, Place};
use super::streams::state::Status;
use super::wording::{Words, not_served};
use crate::aws::access::Caller;
use crate::aws::error::AwsError;
use crate::aws::model::Input;
use crate::aws::value::Value;
use crate::aws::{self, Answer};
use crate::door_metrics::DoorMetrics;
use crate::doors::{Call, Doors};
use crate::settings::KinesisSettings;

/// What every operation works with.
pub(crate) struct Context<'a> {
    pub(crate) doors: &'a Doors,
    /// Of the door that the call came to.
    pub(crate) metrics: &'a DoorMetrics,
    /// The region is the caller's.
    pub(crate) words: Words,
    /// Who calls, and as what action; at the gateway's form nobody is asked here.
    pub(crate) caller: Option<(&'a Caller, String)>,
}

impl<'a> Context<'a> {
    /// Of a call that says nothing of a region.
    pub(crate) fn of(call: &Call<'a>) -> Self {
        let words = Words::of(&call.shared.settings.kinesis, None);
        Self { doors: call.doors, metrics: call.metrics, words, caller: None }
    }

    /// Of a call by the service's own protocol.
    fn asked(asked: &'a aws::Context<'a>, operation: &str) -> Self {
        let words = Words::of(&asked.call.shared.settings.kinesis, Some(&asked.caller.region));
        Self { words, caller: Some((&asked.caller, format!("kinesis:{operation}"))), ..Self::of(asked.call) }
    }

    pub(crate) fn settings(&self) -> &KinesisSettings {
        &self.doors.shared().settings.kinesis
    }

    pub(crate) fn place(&self) -> Place {
        Place::of(self.doors, self.words.clone())
    }

    /// What seals iterators and page tokens.
    async fn seal(&self) -> Result<&Seal, AwsError> {
        Ok(self.doors.shared().streams.seal().await?)
    }

    fn now(&self) -> Timestamp {
        self.doors.shared().streams.clock().now()
    }

    /// Refuses a caller that may not do this to a stream; without one, to all of them together.
    fn check_may(&self, stream: Option<&str>) -> Result<(), AwsError> {
        let Some((caller, action)) = &self.caller else { return Ok(()) };
        self.doors.shared().access.may(caller, action, stream)
    }

    /// The stream that a call is about, if the caller may do this to it.
    fn name(&self, input: &Value) -> Result<TopicName, AwsError> {
        let name = names::stream_of(&self.words, input)?;
        self.check_may(Some(name.as_str()))?;
        Ok(name)
    }

    /// The same of a name that stands by itself.
    fn named(&self, name: &str) -> Result<TopicName, AwsError> {
        let name = names::name(&self.words, name)?;
        self.check_may(Some(name.as_str()))?;
        Ok(name)
    }

    /// The same of a resource.
    fn stream(&self, of: &Resource) -> Result<TopicName, AwsError> {
        let name = of.stream(&self.words)?;
        self.check_may(Some(name.as_str()))?;
        Ok(name)
    }

    /// The same, as it is now.
    async fn find(&self, input: &Value) -> Result<Found, AwsError> {
        self.place().find(&self.name(input)?).await
    }
}

/// Runs an operation by its name, such as `PutRecords`.
pub(crate) async fn run(asked: &aws::Context<'_>, operation: &str, input: Input) -> Result<Answer, AwsError> {
    let context = Context::asked(asked, operation);
    match operation {
        "SubscribeToShard" => subscribe::subscribe(&context, &input).await.map(Answer::Events),
        _ => serve(&context, operation, &input).await.map(Answer::Value),
    }
}

/// Runs a put that was read at once, for a caller whose form is JSON.
pub(crate) async fn run_plain(asked: &aws::Context<'_>, operation: &str, put: Plain) -> Result<Answer, AwsError> {
    records::put_plain(&Context::asked(asked, operation), put).await.map(Answer::Json)
}

/// The same for a call that somebody has made sense of already.
pub(crate) async fn serve(context: &Context<'_>, operation: &str, input: &Value) -> Result<Value, AwsError> {
    match operation {
        "PutRecords" => records::put_all(context, input).await,
        "PutRecord" => records::put_one(context, input).await,
        "GetRecords" => records::get(context, input).await,
        "GetShardIterator" => records::shard_iterator(context, input).await,
        "CreateStream" => streams::create(context, input).await,
        "DeleteStream" => streams::delete(context, input).await,
        "DescribeStream" => streams::describe(context, input).await,
        "DescribeStreamSummary" => streams::summary(context, input).await,
        "ListStreams" => streams::list(context, input).await,
        "DescribeLimits" => streams::limits(context).await,
        "DescribeAccountSettings" => settings::account(context),
        "ListShards" => shards::list(context, input).await,
        "SplitShard" => shards::split(context, input).await,
        "MergeShards" => shards::merge(context, input).await,
        "UpdateShardCount" => shards::update_count(context, input).await,
        "UpdateStreamMode" => settings::update_mode(context, input).await,
        "UpdateMaxRecordSize" => settings::update_max_record_size(context, input).await,
        "IncreaseStreamRetentionPeriod" => settings::increase_retention(context, input).await,
        "DecreaseStreamRetentionPeriod" => settings::decrease_retention(context, input).await,
        "StartStreamEncryption" => settings::start_encryption(context, input).await,
        "StopStreamEncryption" => settings::stop_encryption(context, input).await,
        "EnableEnhancedMonitoring" => settings::monitor(context, input, true).await,
        "DisableEnhancedMonitoring" => settings::monitor(context, input, false).await,
        "PutResourcePolicy" => settings::put_policy(context, input).await,
        "GetResourcePolicy" => settings::policy(context, input).await,
        "DeleteResourcePolicy" => settings::delete_policy(context, input).await,
        "AddTagsToStream" => tags::add_to_stream(context, input).await,
        "RemoveTagsFromStream" => tags::remove_from_stream(context, input).await,
        "ListTagsForStream" => tags::list_of_stream(context, input).await,
        "TagResource" => tags::add(context, input).await,
        "UntagResource" => tags::remove(context, input).await,
        "ListTagsForResource" => tags::list(context, input).await,
        "RegisterStreamConsumer" => consumers::register(context, input).await,
        "DeregisterStreamConsumer" => consumers::deregister(context, input).await,
        "DescribeStreamConsumer" => consumers::describe(context, input).await,
        "ListStreamConsumers" => consumers::list(context, input).await,
        _ => Err(AwsError::unknown_operation()),
    }
}

/// Refuses members of a call that belong to what is not served.
fn refuse_members(input: &Value, members: &[&'static str]) -> Result<(), AwsError> {
    let is_said = |member: &&&str| !matches!(input.get(member), None | Some(Value::Null | Value::Bool(false)));
    members.iter().find(is_said).map_or(Ok(()), |member| Err(not_served(member)))
}

/// Refuses a change that a stream takes only while it is ACTIVE.
fn check_active(words: &Words, found: &Found, now: Timestamp) -> Result<(), AwsError> {
    match found.stream.status(now) {
        Status::Active => Ok(()),
        status => Err(words.not_active(found.topic.name.as_str(), status)),
    }
}

/// Refuses a change that a stream takes as soon as it is made, and until it is deleted.
fn check_settled(words: &Words, found: &Found, now: Timestamp) -> Result<(), AwsError> {
    match found.stream.status(now) {
        Status::Active | Status::Updating => Ok(()),
        status => Err(words.not_active(found.topic.name.as_str(), status)),
    }
}
