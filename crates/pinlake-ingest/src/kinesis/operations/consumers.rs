//! Registered consumers: who may subscribe to the shards of a stream. Subscribing itself stands elsewhere.

use std::collections::BTreeMap;

use pinlake_core::{Timestamp, TopicName};

use super::streams::unusable_token;
use super::{Context, check_settled, tags};
use crate::aws::error::AwsError;
use crate::aws::value::Value;
use crate::kinesis::iterator::Purpose;
use crate::kinesis::names::{self, Resource, consumer_arn, stream_arn};
use crate::kinesis::streams::state::{Change, Changing, Consumer, Status, Stream};
use crate::kinesis::wording::{Words, argument};

/// Consumers of one ListStreamConsumers, unless asked for fewer.
const LIST_MAX: usize = 100;

pub(super) async fn register(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let stream = context.name(input)?;
    let name = input.text("ConsumerName").unwrap_or_default().to_owned();
    let new = tags::given(input);
    let (words, settings) = (context.words.clone(), context.settings().clone());
    let registered = context.place().change(stream.clone(), move |found, stream, now| {
        check_settled(&words, found, now)?;
        tags::check(&words, stream.name.as_str(), &BTreeMap::new(), &new, settings.tags_max)?;
        if stream.consumers(now).any(|consumer| consumer.name == name) {
            return Err(words.consumer_exists(&name, stream.name.as_str()));
        }
        if stream.consumers(now).count() >= settings.consumers_max {
            return Err(words.consumer_limit(settings.consumers_max));
        }
        let changing = Changing::begin(Change::Creating, now, settings.transition);
        let consumer = Consumer { name, created_ms: now.0, changing, tags: new, policy: None };
        stream.consumers.retain(|consumer| !consumer.is_gone(now));
        stream.consumers.push(consumer.clone());
        Ok(consumer)
    });
    let consumer = registered.await?;
    Ok(Value::map([("Consumer", Value::map(shown(&context.words, &stream, &consumer, context.now())))]))
}

/// A consumer as AWS shows it.
fn shown(words: &Words, stream: &TopicName, consumer: &Consumer, now: Timestamp) -> [(&'static str, Value); 4] {
    let created = Timestamp(consumer.created_ms);
    let status = match consumer.status(now) {
        Status::Updating => Status::Active,
        status => status,
    };
    [
        ("ConsumerName", consumer.name.as_str().into()),
        ("ConsumerARN", consumer_arn(words, stream, &consumer.name, created).into()),
        ("ConsumerStatus", status.as_str().into()),
        ("ConsumerCreationTimestamp", created.into()),
    ]
}

/// The consumer that a call is about: `ConsumerARN`, or `StreamARN` and `ConsumerName`; who gives all means one.
struct Asked {
    stream: TopicName,
    arn: Option<Resource>,
    name: String,
}

fn asked(context: &Context<'_>, input: &Value) -> Result<Asked, AwsError> {
    let (name, stream) = (input.text("ConsumerName"), input.text("StreamARN"));
    let Some(arn) = input.text("ConsumerARN") else {
        let (Some(name), Some(_)) = (name, stream) else {
            return Err(argument("Either ConsumerARN, or StreamARN and ConsumerName should be provided."));
        };
        return Ok(Asked { stream: context.name(input)?, arn: None, name: name.to_owned() });
    };
    let resource = names::resource(arn)?;
    let Some((of_arn, _)) = resource.consumer.clone() else {
        return Err(argument(format!("{arn} is not the ARN of a consumer.")));
    };
    let same_stream = || stream.map_or(Ok(true), |stream| names::resource(stream).map(|given| given.stream == resource.stream));
    if name.is_some_and(|name| name != of_arn) || !same_stream()? {
        return Err(argument("ConsumerARN is not the consumer that StreamARN and ConsumerName say: give one of both."));
    }
    Ok(Asked { stream: context.stream(&resource)?, name: of_arn, arn: Some(resource) })
}

impl Asked {
    fn position(&self, words: &Words, stream: &Stream, now: Timestamp) -> Result<usize, AwsError> {
        match &self.arn {
            Some(arn) => position(words, stream, arn, now),
            None => {
                let is_meant = |consumer: &Consumer| consumer.name == self.name && !consumer.is_gone(now);
                stream.consumers.iter().position(is_meant).ok_or_else(|| words.no_consumer(&self.name))
            }
        }
    }
}

/// Where in its stream a consumer stands that an ARN names.
pub(super) fn position(words: &Words, stream: &Stream, of: &Resource, now: Timestamp) -> Result<usize, AwsError> {
    let (name, second) = of.consumer.as_ref().ok_or_else(|| words.no_consumer(&of.stream))?;
    let is_meant =
        |consumer: &Consumer| consumer.name == *name && consumer.created_ms.div_euclid(1000) == *second && !consumer.is_gone(now);
    let arn = || consumer_arn(words, &stream.name, name, Timestamp(second.saturating_mul(1000)));
    stream.consumers.iter().position(is_meant).ok_or_else(|| words.no_consumer(&arn()))
}

pub(super) async fn deregister(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let asked = asked(context, input)?;
    let (words, transition) = (context.words.clone(), context.settings().transition);
    let stream = asked.stream.clone();
    let done = context.place().change(stream.clone(), move |_, stream, now| {
        let at = asked.position(&words, stream, now)?;
        match Changing::begin(Change::Deleting, now, transition) {
            Some(changing) => stream.consumers[at].changing = Some(changing),
            None => drop(stream.consumers.remove(at)),
        }
        Ok(())
    });
    done.await.map(|()| Value::Null)
}

pub(super) async fn describe(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let asked = asked(context, input)?;
    let found = context.place().find(&asked.stream).await?;
    let now = context.now();
    let consumer = &found.stream.consumers[asked.position(&context.words, &found.stream, now)?];
    let [name, arn, status, created] = shown(&context.words, &asked.stream, consumer, now);
    let stream = ("StreamARN", stream_arn(&context.words, &asked.stream).into());
    Ok(Value::map([("ConsumerDescription", Value::map([name, arn, status, created, stream]))]))
}

pub(super) async fn list(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let found = context.find(input).await?;
    let (now, name) = (context.now(), &found.topic.name);
    let created = input.time("StreamCreationTimestamp");
    if created.is_some_and(|created| created.0.div_euclid(1000) != found.stream.created_ms.div_euclid(1000)) {
        return Err(context.words.no_stream(name.as_str()));
    }
    let seal = context.seal().await?;
    let after = match input.text("NextToken") {
        Some(token) => seal.content(Purpose::ListConsumers, token, now).map_err(unusable_token)?,
        None => Vec::new(),
    };
    let most = input.int("MaxResults").and_then(|most| usize::try_from(most).ok()).unwrap_or(LIST_MAX);
    let mut consumers: Vec<&Consumer> =
        found.stream.consumers(now).filter(|consumer| consumer.name.as_bytes() > &after[..]).collect();
    consumers.sort_by(|one, other| one.name.cmp(&other.name));
    let next = match consumers.get(most) {
        Some(_) => Some(seal.token(Purpose::ListConsumers, consumers[most - 1].name.as_bytes(), now)?),
        None => None,
    };
    let page = consumers.iter().take(most).map(|consumer| Value::map(shown(&context.words, name, consumer, now)));
    Ok(Value::map([("Consumers", Value::List(page.collect())), ("NextToken", next.into())]))
}
