//! The operations of Firehose, whatever codec they come in: an input whose types and constraints hold becomes an answer or an error of AWS's. An
//! operation that answers nothing gives an empty structure, as AWS's do.

use std::collections::BTreeMap;

use pinlake_core::{Error, ErrorKind, Timestamp, TopicName};

use super::definition::{DEFINITION_BYTES_MAX, DIRECT_PUT, Definition, KINESIS_SOURCE};
use super::destination::{self, DESTINATION_ID};
use super::{put, topic_of, wording};
use crate::aws;
use crate::aws::access::Caller;
use crate::aws::error::AwsError;
use crate::aws::model::Input;
use crate::aws::value::Value;
use crate::doors::{Call, Doors};
use crate::kinesis::names::{self, stream_arn};
use crate::kinesis::streams::changes::Place;
use crate::kinesis::streams::state::Status;
use crate::kinesis::wording::{Words, argument};

/// Delivery streams of one server. What delivers them takes 256 sinks in all.
pub(crate) const DELIVERY_STREAMS_MAX: usize = 200;
/// Tags of one delivery stream.
const TAGS_MAX: usize = 50;
/// Names of one ListDeliveryStreams unless asked for fewer or more.
const LIST_DEFAULT: usize = 10;

/// What every operation works with.
pub(crate) struct Context<'a> {
    pub(crate) call: &'a Call<'a>,
    pub(crate) caller: &'a Caller,
    /// The region is the caller's.
    pub(crate) words: Words,
    /// The delivery stream that a call is about; empty if it is about none.
    pub(crate) name: &'a str,
}

impl Context<'_> {
    /// What is kept of the delivery stream.
    pub(crate) fn definition(&self) -> Result<Definition, AwsError> {
        definition(self.call.doors, &self.words, self.name)
    }

    fn now(&self) -> Timestamp {
        self.call.shared.producer.now()
    }

    /// Changes a definition. It is finished once it has begun, also if the caller goes away.
    async fn change(
        &self,
        how: impl FnOnce(&mut Definition, Timestamp) -> Result<(), AwsError> + Send + 'static,
    ) -> Result<Value, AwsError> {
        let (doors, words, name, now) = (self.call.doors.clone(), self.words.clone(), self.name.to_owned(), self.now());
        finished(async move {
            let deliveries = &doors.shared().deliveries;
            let _turn = deliveries.turn(&name).await;
            let before = definition(&doors, &words, &name)?;
            let mut after = before.clone();
            how(&mut after, now)?;
            if after != before {
                let text = text_of(&Definition { updated: now, ..after })?;
                let streams = deliveries.get().ok_or_else(|| wording::not_found(&words, &name))?;
                streams.alter(&name, text).await.map_err(|error| wording::told(&words, &name, &error))?;
            }
            Ok(Value::map([]))
        })
        .await
    }
}

/// What is kept of a delivery stream.
fn definition(doors: &Doors, words: &Words, name: &str) -> Result<Definition, AwsError> {
    let text = doors.shared().deliveries.definition(name).ok_or_else(|| wording::not_found(words, name))?;
    Ok(Definition::parse(text)?)
}

fn text_of(definition: &Definition) -> Result<String, AwsError> {
    let text = definition.to_text();
    if text.len() > DEFINITION_BYTES_MAX {
        return Err(argument(format!(
            "the configuration of {} takes {} bytes, and may take {DEFINITION_BYTES_MAX}: leave processors or parameters out",
            definition.name,
            text.len()
        )));
    }
    Ok(text)
}

/// Runs to its end whatever becomes of the caller.
async fn finished<T: Send + 'static>(work: impl Future<Output = Result<T, AwsError>> + Send + 'static) -> Result<T, AwsError> {
    match tokio::spawn(work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::internal("the change was given up: look for a panic in the server's log").into()),
    }
}

/// Runs an operation by its name, such as `PutRecordBatch`.
pub(crate) async fn run(asked: &aws::Context<'_>, operation: &str, input: Input) -> Result<Value, AwsError> {
    let shared = asked.call.shared;
    let name = input.text("DeliveryStreamName");
    shared.access.may(&asked.caller, &format!("firehose:{operation}"), name)?;
    let words = Words::of(&shared.settings.kinesis, Some(&asked.caller.region));
    let context = Context { call: asked.call, caller: &asked.caller, words, name: name.unwrap_or_default() };
    match operation {
        "PutRecord" => put::one(&context, &input).await,
        "PutRecordBatch" => put::batch(&context, &input).await,
        "CreateDeliveryStream" => create(&context, &input).await,
        "DeleteDeliveryStream" => delete(&context).await,
        "DescribeDeliveryStream" => describe(&context, &input),
        "ListDeliveryStreams" => list(&context, &input),
        "UpdateDestination" => update(&context, &input).await,
        "TagDeliveryStream" => tag(&context, &input).await,
        "UntagDeliveryStream" => untag(&context, &input).await,
        "ListTagsForDeliveryStream" => tags(&context, &input),
        "StartDeliveryStreamEncryption" => start_encryption(&context, &input).await,
        "StopDeliveryStreamEncryption" => stop_encryption(&context).await,
        _ => Err(AwsError::unknown_operation()),
    }
}

async fn create(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let (kind, source, topic) = source(context, input).await?;
    let encryption = match input.get("DeliveryStreamEncryptionConfigurationInput") {
        Some(_) if kind != DIRECT_PUT => return Err(encrypts_nothing()),
        given => encryption(given)?,
    };
    let now = context.now();
    let definition = Definition {
        name: context.name.to_owned(),
        kind: kind.to_owned(),
        topic: topic.to_string(),
        created: now,
        updated: now,
        starts: now,
        version: 1,
        destination: destination::new(input)?,
        tags: given_tags(input),
        encryption,
        source,
    };
    let (doors, words, text) = (context.call.doors.clone(), context.words.clone(), text_of(&definition)?);
    finished(async move {
        let (shared, name) = (doors.shared(), &definition.name);
        let _creating = shared.deliveries.creating.lock().await;
        let _turn = shared.deliveries.turn(name).await;
        let Some(streams) = shared.deliveries.get() else {
            return Err(argument("this server delivers nothing, and so takes no delivery streams"));
        };
        let names = streams.names();
        if names.contains(name) {
            return Err(wording::exists(&words, name));
        }
        if names.len() >= DELIVERY_STREAMS_MAX {
            return Err(wording::quota(DELIVERY_STREAMS_MAX, &names));
        }
        let (place, mut is_made) = (Place::of(&doors, words.clone()), false);
        if definition.takes_records() {
            check_topic(&place, &topic, name).await?;
            // First, so that whoever delivers finds it. One that is left behind by a death is found by the next try.
            is_made = put::make_topic(place.log(), &topic).await?;
        }
        if let Err(error) = streams.create(name, text).await {
            if is_made {
                remove_topic(&place, &topic).await;
            }
            return Err(if error.kind() == ErrorKind::Conflict { wording::exists(&words, name) } else { error.into() });
        }
        Ok(Value::map([("DeliveryStreamARN", arn(&words, name).into())]))
    })
    .await
}

/// Where a new delivery stream has its records from: its type, the configuration of its source, and the topic.
async fn source(context: &Context<'_>, input: &Value) -> Result<(&'static str, Value, TopicName), AwsError> {
    let kind = input.text("DeliveryStreamType").unwrap_or(DIRECT_PUT);
    let served = [(DIRECT_PUT, "DirectPutSourceConfiguration"), (KINESIS_SOURCE, "KinesisStreamSourceConfiguration")];
    let Some((kind, own)) = served.into_iter().find(|(served, _)| *served == kind) else {
        return Err(argument(format!("DeliveryStreamType {kind} is not served: there are {DIRECT_PUT} and {KINESIS_SOURCE}")));
    };
    let all = [served[0].1, served[1].1, "MSKSourceConfiguration", "DatabaseSourceConfiguration"];
    if let Some(other) = all.into_iter().find(|name| *name != own && input.get(name).is_some()) {
        return Err(argument(format!("{other} is not for a delivery stream of type {kind}: leave it out")));
    }
    let configuration = input.get(own);
    if kind == DIRECT_PUT {
        return Ok((kind, configuration.cloned().unwrap_or(Value::Null), TopicName::new(&topic_of(context.name))?));
    }
    let configuration =
        configuration.ok_or_else(|| argument(format!("{own} must be given when DeliveryStreamType is {kind}")))?;
    let stream = names::resource(configuration.text("KinesisStreamARN").unwrap_or_default())?.stream(&context.words)?;
    // Its records leave by this way, so whoever asks for it must be one who may read them.
    context.call.shared.access.may(context.caller, "kinesis:GetRecords", Some(stream.as_str()))?;
    let place = Place::of(context.call.doors, context.words.clone());
    let found = place.find(&stream).await?;
    match found.stream.status(place.now()) {
        Status::Creating | Status::Deleting => Err(context.words.no_stream(stream.as_str())),
        Status::Active | Status::Updating => Ok((kind, configuration.clone(), stream)),
    }
}

async fn delete(context: &Context<'_>) -> Result<Value, AwsError> {
    let (doors, words, name) = (context.call.doors.clone(), context.words.clone(), context.name.to_owned());
    finished(async move { delete_now(&doors, &words, &name).await.map(|()| Value::map([])) }).await
}

async fn delete_now(doors: &Doors, words: &Words, name: &str) -> Result<(), AwsError> {
    let shared = doors.shared();
    let _turn = shared.deliveries.turn(name).await;
    let definition = definition(doors, words, name)?;
    let streams = shared.deliveries.get().ok_or_else(|| wording::not_found(words, name))?;
    // First, because a topic that is followed is not deleted.
    streams.delete(name).await.map_err(|error| wording::told(words, name, &error))?;
    if definition.takes_records() {
        remove_topic(&Place::of(doors, words.clone()), &TopicName::new(&definition.topic)?).await;
    }
    Ok(())
}

/// Deletes all delivery streams.
pub(crate) async fn reset(doors: &Doors, words: &Words) -> Result<(), AwsError> {
    let (doors, words) = (doors.clone(), words.clone());
    finished(async move {
        for name in doors.shared().deliveries.names() {
            match delete_now(&doors, &words, &name).await {
                Err(error) if error.kind != "ResourceNotFoundException" => return Err(error),
                _ => {}
            }
        }
        Ok(())
    })
    .await
}

/// Deletes the topic of a delivery stream that is no more. If a table or the archive has not taken its records yet it goes later, also over a restart.
async fn remove_topic(place: &Place, topic: &TopicName) {
    match place.clone().delete_for_good(topic.clone()).await {
        Err(error) if error.kind != "ResourceNotFoundException" => {
            let why = error.message.unwrap_or_default();
            tracing::warn!(%topic, "the topic of a deleted delivery stream is still there: {why}");
        }
        _ => {}
    }
}

/// Refuses a topic of somebody else's: its records are not this delivery stream's to read, nor is it its to delete. One without records is taken,
/// as a creation that was cut off leaves it.
async fn check_topic(place: &Place, topic: &TopicName, name: &str) -> Result<(), AwsError> {
    let found = match place.find(topic).await {
        Ok(found) => found,
        Err(error) if error.kind == "ResourceNotFoundException" => return Ok(()),
        Err(error) => return Err(error),
    };
    if found.stream.status(place.now()) == Status::Deleting {
        return Err(wording::being_deleted(name));
    }
    let mut is_others = place.streams.kept().iter().any(|kept| kept.name == *topic);
    for partition in 0..found.topic.spec.partitions {
        is_others |= place.log().range(&topic.partition(partition)).await.is_ok_and(|kept| kept.start < kept.end);
    }
    if is_others { Err(wording::topic_in_use(topic)) } else { Ok(()) }
}

fn arn(words: &Words, name: &str) -> String {
    format!("arn:aws:firehose:{}:{}:deliverystream/{name}", words.region, words.account)
}

fn describe(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let of = context.definition()?;
    let words = &context.words;
    // AWS has it for failures of a creation. Here clients show what they would not find elsewhere: why nothing is delivered.
    let failure = context.call.shared.deliveries.get().and_then(|streams| streams.failure(context.name));
    let failure = failure.map(|text| Value::map([("Type", "UNKNOWN_ERROR".into()), ("Details", text.into())]));
    let is_behind = input.text("ExclusiveStartDestinationId").is_some_and(|after| after >= DESTINATION_ID);
    let destinations = if is_behind { Vec::new() } else { vec![destination::described(&of.destination)] };
    let description = Value::map([
        ("DeliveryStreamName", of.name.as_str().into()),
        ("DeliveryStreamARN", arn(words, &of.name).into()),
        ("DeliveryStreamStatus", "ACTIVE".into()),
        ("FailureDescription", failure.into()),
        ("DeliveryStreamEncryptionConfiguration", of.encryption.clone()),
        ("DeliveryStreamType", of.kind.as_str().into()),
        ("VersionId", of.version.to_string().into()),
        ("CreateTimestamp", of.created.into()),
        ("LastUpdateTimestamp", (of.version > 1 || of.updated != of.created).then_some(of.updated).into()),
        ("Source", source_described(words, &of)),
        ("Destinations", destinations.into()),
        ("HasMoreDestinations", false.into()),
    ]);
    Ok(Value::map([("DeliveryStreamDescription", description)]))
}

fn source_described(words: &Words, of: &Definition) -> Value {
    if of.takes_records() {
        return if of.source == Value::Null {
            Value::Null
        } else {
            Value::map([("DirectPutSourceDescription", of.source.clone())])
        };
    }
    let given = of.source.text("KinesisStreamARN").map(str::to_owned);
    let stream = given.or_else(|| TopicName::new(&of.topic).ok().map(|stream| stream_arn(words, &stream)));
    let description = Value::map([
        ("KinesisStreamARN", stream.into()),
        ("RoleARN", of.source.text("RoleARN").into()),
        ("DeliveryStartTimestamp", of.starts.into()),
    ]);
    Value::map([("KinesisStreamSourceDescription", description)])
}

fn list(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let deliveries = &context.call.shared.deliveries;
    let after = input.text("ExclusiveStartDeliveryStreamName");
    let kind = input.text("DeliveryStreamType");
    let most = input.int("Limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(LIST_DEFAULT);
    let is_of_kind = |name: &String| {
        let of = || Definition::parse(deliveries.definition(name)?).ok();
        kind.is_none_or(|kind| of().is_some_and(|of| of.kind == kind))
    };
    let all = deliveries.names();
    let mut behind = all.into_iter().filter(|name| after.is_none_or(|after| name.as_str() > after)).filter(is_of_kind);
    let page: Vec<Value> = behind.by_ref().take(most).map(Value::from).collect();
    Ok(Value::map([("DeliveryStreamNames", page.into()), ("HasMoreDeliveryStreams", behind.next().is_some().into())]))
}

async fn update(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let input = input.clone();
    let change = context.change(move |of, _| {
        let given = input.text("CurrentDeliveryStreamVersionId").unwrap_or_default();
        if given != of.version.to_string() {
            return Err(wording::other_version(&of.name, of.version, given));
        }
        let id = input.text("DestinationId").unwrap_or_default();
        if id != DESTINATION_ID {
            return Err(argument(format!("Destination Id {id} not found")));
        }
        of.destination = destination::updated(&of.destination, &input)?;
        of.version += 1;
        Ok(())
    });
    change.await
}

/// The tags that a call brings; of a key that is there twice, the last.
fn given_tags(input: &Value) -> BTreeMap<String, Option<String>> {
    let tag = |tag: &Value| Some((tag.text("Key")?.to_owned(), tag.text("Value").map(str::to_owned)));
    input.items("Tags").iter().filter_map(tag).collect()
}

async fn tag(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let new = given_tags(input);
    let change = context.change(move |of, _| {
        of.tags.extend(new);
        if of.tags.len() > TAGS_MAX { Err(wording::too_many_tags(&of.name, TAGS_MAX)) } else { Ok(()) }
    });
    change.await
}

async fn untag(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let keys: Vec<String> = input.items("TagKeys").iter().filter_map(Value::as_text).map(str::to_owned).collect();
    let change = context.change(move |of, _| {
        of.tags.retain(|key, _| !keys.contains(key));
        Ok(())
    });
    change.await
}

fn tags(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let mut of = context.definition()?;
    if let Some(after) = input.text("ExclusiveStartTagKey") {
        of.tags.retain(|key, _| key.as_str() > after);
    }
    let most = input.int("Limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(TAGS_MAX);
    let page: Vec<Value> = of.tags().take(most).collect();
    let has_more = of.tags.len() > page.len();
    Ok(Value::map([("Tags", page.into()), ("HasMoreTags", has_more.into())]))
}

async fn start_encryption(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let owned = Value::map([("KeyType", "AWS_OWNED_CMK".into())]);
    let started = encryption(Some(input.get("DeliveryStreamEncryptionConfigurationInput").unwrap_or(&owned)))?;
    let change = context.change(move |of, _| {
        if !of.takes_records() {
            return Err(encrypts_nothing());
        }
        of.encryption = started;
        Ok(())
    });
    change.await
}

async fn stop_encryption(context: &Context<'_>) -> Result<Value, AwsError> {
    let stopped = encryption(None)?;
    let change = context.change(move |of, _| {
        if !of.takes_records() {
            return Err(encrypts_nothing());
        }
        of.encryption = stopped;
        Ok(())
    });
    change.await
}

/// What is said of encryption: no key is asked for, and nothing is encrypted.
fn encryption(given: Option<&Value>) -> Result<Value, AwsError> {
    let Some(given) = given else { return Ok(Value::map([("Status", "DISABLED".into())])) };
    let (kind, key) = (given.text("KeyType").unwrap_or_default(), given.text("KeyARN"));
    match (kind, key) {
        ("CUSTOMER_MANAGED_CMK", None) => Err(argument("KeyARN must be given when KeyType is CUSTOMER_MANAGED_CMK")),
        ("AWS_OWNED_CMK", Some(_)) => Err(argument("KeyARN must not be given when KeyType is AWS_OWNED_CMK")),
        _ => Ok(Value::map([("KeyARN", key.into()), ("KeyType", kind.into()), ("Status", "ENABLED".into())])),
    }
}

fn encrypts_nothing() -> AwsError {
    argument(format!("a delivery stream of type {KINESIS_SOURCE} has the encryption of its stream: set it there"))
}
