//! Topics of the cluster: made, described, altered, deleted. What the cluster decided takes a while to reach all brokers: a call returns when a
//! broker tells of it.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::ApiKey;
use kafka_protocol::messages::alter_configs_request::{
    AlterConfigsRequest, AlterConfigsResource as FullResource, AlterableConfig as FullConfig,
};
use kafka_protocol::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use kafka_protocol::messages::delete_topics_request::DeleteTopicsRequest;
use kafka_protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResult;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use kafka_protocol::protocol::StrBytes;
use pinlake_core::log::check_partitions;
use pinlake_core::{Error, ErrorKind, Result, TopicDescription, TopicName, TopicSpec};
use tokio::time::{Instant, timeout_at};

use super::cluster::{Cluster, wire_name};
use super::connection::Connection;
use super::error::{self, Failure};
use super::retry::Attempts;
use super::settings::{self, NAMES};
use super::throttle::Asked;
use super::view::Topic;

/// How long what is known of a topic's settings holds before they are asked for anew.
const FRESH_AGE: Duration = Duration::from_secs(5);
/// How long it may be used while they are asked for.
const STALE_AGE: Duration = Duration::from_secs(15);
/// How many topics' settings one request asks for.
const TOPICS_DESCRIBED: usize = 200;

const TOPIC: i8 = 2;
const SET: i8 = 0;
/// Whose setting it is: the topic's own.
const OWN_SETTING: i8 = 1;
const DEFAULT_REPLICATION: i16 = -1;
/// The first CreateTopics that knows the cluster's default of replication.
const KNOWS_DEFAULT: i16 = 4;
const ALREADY_EXISTS: i16 = 36;
const UNKNOWN_TOPIC: i16 = 3;

/// What the broker that decides on topics answered: a code and its own text.
type Answered = (i16, Option<StrBytes>);

/// As `Log::create_topic`; returns when every partition has a leader.
pub(super) async fn create(cluster: &Cluster, name: &TopicName, spec: &TopicSpec) -> Result<()> {
    spec.validate()?;
    let mut attempts = cluster.attempts();
    let partitions = i32::try_from(spec.partitions).map_err(|_| Error::invalid("too many partitions"))?;
    let config = |name: &str| {
        let value = StrBytes::from_string(settings::value_of(spec, name));
        CreatableTopicConfig::default().with_name(StrBytes::from_string(name.to_owned())).with_value(Some(value))
    };
    let topic = CreatableTopic::default()
        .with_name(wire_name(name))
        .with_num_partitions(partitions)
        .with_replication_factor(replication(cluster, &attempts).await?)
        .with_configs(NAMES.iter().map(|name| config(name)).collect());
    let request =
        CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(timeout_ms(cluster)).with_validate_only(false);
    let what = format!("topic '{name}' can't be made");
    let made = ask_controller(cluster, &mut attempts, &what, &request, Some(ALREADY_EXISTS), |answer| {
        answer.topics.into_iter().next().map(|topic| (topic.error_code, topic.error_message))
    });
    let made = made.await;
    // Somebody else may have made it just now, perhaps with other partitions: whoever asks for it next must find it.
    let (partitions, exists) = match &made {
        Ok(()) => (Some(spec.partitions as usize), false),
        Err(error) => (None, error.kind() == ErrorKind::Conflict),
    };
    if made.is_ok() || exists {
        shows(cluster, &mut attempts, name, |topic| {
            topic.is_some_and(|topic| {
                partitions.is_none_or(|partitions| topic.leaders.len() == partitions)
                    && topic.leaders.values().all(Option::is_some)
            })
        })
        .await?;
    }
    made
}

/// As `Log::delete_topic`; returns when it is gone.
pub(super) async fn delete(cluster: &Cluster, name: &TopicName) -> Result<()> {
    let request = DeleteTopicsRequest::default().with_topic_names(vec![wire_name(name)]).with_timeout_ms(timeout_ms(cluster));
    let mut attempts = cluster.attempts();
    let what = format!("topic '{name}' can't be deleted");
    ask_controller(cluster, &mut attempts, &what, &request, Some(UNKNOWN_TOPIC), |answer| {
        answer.responses.into_iter().next().map(|topic| (topic.error_code, topic.error_message))
    })
    .await?;
    shows(cluster, &mut attempts, name, |topic| topic.is_none()).await
}

/// As `Log::alter_topic`.
pub(super) async fn alter(cluster: &Cluster, name: &TopicName, wanted: &TopicSpec) -> Result<()> {
    wanted.validate()?;
    let mut attempts = cluster.attempts();
    cluster.look_up_anew(&attempts, name).await?;
    let now = described_anew(cluster, &mut attempts, name).await?;
    check_partitions(name, &now, wanted)?;
    let changed: Vec<&str> =
        NAMES.into_iter().filter(|name| settings::value_of(&now, name) != settings::value_of(wanted, name)).collect();
    if !changed.is_empty() {
        set(cluster, &mut attempts, name, &changed, wanted).await?;
    }
    if wanted.partitions > now.partitions {
        let count = i32::try_from(wanted.partitions).map_err(|_| Error::invalid("too many partitions"))?;
        let topic = CreatePartitionsTopic::default().with_name(wire_name(name)).with_count(count).with_assignments(None);
        let request = CreatePartitionsRequest::default().with_topics(vec![topic]).with_timeout_ms(timeout_ms(cluster));
        let what = format!("topic '{name}' gets no more partitions");
        ask_controller(cluster, &mut attempts, &what, &request, None, |answer| {
            answer.results.into_iter().next().map(|topic| (topic.error_code, topic.error_message))
        })
        .await?;
    }
    shows(cluster, &mut attempts, name, |topic| {
        topic
            .is_some_and(|topic| topic.leaders.len() >= wanted.partitions as usize && topic.leaders.values().all(Option::is_some))
    })
    .await?;
    loop {
        let told = described_anew(cluster, &mut attempts, name).await?;
        if changed.iter().all(|name| settings::value_of(&told, name) == settings::value_of(wanted, name)) {
            return Ok(());
        }
        attempts.pause_after(Error::retry(format!("the brokers do not tell the new settings of topic '{name}' yet"))).await?;
    }
}

/// As `Log::topic`: from memory, while that is fresh, and a while longer while somebody else asks.
pub(super) async fn describe(cluster: &Cluster, name: &TopicName) -> Result<TopicDescription> {
    let known = |younger_than: Duration, topic: &Topic| {
        let (asked, spec) = topic.spec.as_ref()?;
        (asked.elapsed() < younger_than).then(|| description(name, topic, spec.clone()))
    };
    let mut attempts = cluster.attempts();
    let topic = known_topic(cluster, &mut attempts, name).await?;
    if let Some(found) = known(FRESH_AGE, &topic) {
        return Ok(found);
    }
    let _describing = match cluster.describing.try_lock() {
        Ok(describing) => describing,
        Err(_) => match known(STALE_AGE, &topic) {
            Some(found) => return Ok(found),
            None => timeout_at(attempts.deadline(), cluster.describing.lock())
                .await
                .map_err(|_| Error::retry(format!("the cluster does not tell of topic '{name}'")))?,
        },
    };
    // Somebody else may just have asked.
    if let Some(found) = known(FRESH_AGE, &known_topic(cluster, &mut attempts, name).await?) {
        return Ok(found);
    }
    cluster.look_up_anew(&attempts, name).await?;
    let spec = described_anew(cluster, &mut attempts, name).await?;
    let topic = known_topic(cluster, &mut attempts, name).await?;
    Ok(description(name, &topic, spec))
}

/// A topic, looked up until a broker tells of it.
async fn known_topic(cluster: &Cluster, attempts: &mut Attempts, name: &TopicName) -> Result<Topic> {
    loop {
        match attempts.in_time(cluster.topic(name)).await {
            Ok(topic) => return Ok(topic),
            Err(Failure::Fatal(error)) => return Err(error),
            Err(failure) => attempts.pause_after(failure.into_error()).await?,
        }
    }
}

/// As `Log::topics`, without the brokers' own.
pub(super) async fn list(cluster: &Cluster) -> Result<Vec<TopicDescription>> {
    let mut attempts = cluster.attempts();
    let mut names = loop {
        match attempts.in_time(cluster.ask_metadata(None)).await {
            Ok(names) => break names,
            Err(Failure::Fatal(error)) => return Err(error),
            Err(failure) => attempts.pause_after(failure.into_error()).await?,
        }
    };
    names.sort();
    let mut found = Vec::with_capacity(names.len());
    for some in names.chunks(TOPICS_DESCRIBED) {
        let topics = some.iter().filter_map(|name| {
            let topic = cluster.view().seen(name)?.topic.clone().ok().flatten()?;
            (!topic.is_internal).then(|| (name.clone(), topic))
        });
        // Followers list them over and over: what was asked a moment ago is not asked again.
        let is_fresh = |(asked, _): &(Instant, TopicSpec)| asked.elapsed() < FRESH_AGE;
        let known = |(_, topic): &(TopicName, Topic)| topic.spec.as_ref().is_some_and(is_fresh);
        let (mut topics, asked): (Vec<_>, Vec<_>) = topics.partition(known);
        let names: Vec<TopicName> = asked.iter().map(|(name, _)| name.clone()).collect();
        let now = Instant::now();
        for ((name, mut topic), spec) in asked.into_iter().zip(ask_specs(cluster, &mut attempts, &names).await?) {
            topic.spec = spec.map(|spec| (now, spec));
            topics.push((name, topic));
        }
        topics.sort_by(|(one, _), (other, _)| one.cmp(other));
        found.extend(topics.iter().filter_map(|(name, topic)| Some(description(name, topic, topic.spec.clone()?.1))));
    }
    Ok(found)
}

fn description(name: &TopicName, topic: &Topic, mut spec: TopicSpec) -> TopicDescription {
    spec.partitions = partitions(topic);
    TopicDescription { name: name.clone(), id: topic.id, spec }
}

fn partitions(topic: &Topic) -> u32 {
    u32::try_from(topic.leaders.len()).unwrap_or(u32::MAX)
}

/// A topic's settings, asked for now.
async fn described_anew(cluster: &Cluster, attempts: &mut Attempts, name: &TopicName) -> Result<TopicSpec> {
    loop {
        let told = ask_specs(cluster, attempts, std::slice::from_ref(name)).await?.into_iter().next().flatten();
        // Also where one broker knows a new topic and another does not yet.
        let topic = known_topic(cluster, attempts, name).await?;
        if let Some(spec) = told {
            return Ok(TopicSpec { partitions: partitions(&topic), ..spec });
        }
        attempts.pause_after(Error::retry(format!("the brokers do not tell the settings of topic '{name}' yet"))).await?;
    }
}

/// The settings of each topic, in their order; none for one that has gone. Takes note of them.
async fn ask_specs(cluster: &Cluster, attempts: &mut Attempts, names: &[TopicName]) -> Result<Vec<Option<TopicSpec>>> {
    let asked = Instant::now();
    let results = loop {
        match attempts.in_time(describe_configs(cluster, names, Some(&NAMES))).await {
            Ok(results)
                if results.iter().all(|result| !error::passes(result.error_code) || result.error_code == UNKNOWN_TOPIC) =>
            {
                break results;
            }
            Ok(_) => attempts.pause_after(Error::retry("the settings of topics can't be told at the moment")).await?,
            // An older broker does not tell them, nor one that this login may not ask.
            Err(Failure::Fatal(error)) if error.kind() == ErrorKind::Invalid => {
                cluster.say_untold(&error);
                break Vec::new();
            }
            Err(Failure::Fatal(error)) => return Err(error),
            Err(failure) => attempts.pause_after(failure.into_error()).await?,
        }
    };
    let mut specs = Vec::with_capacity(names.len());
    for name in names {
        let mut spec = settings::untold(1);
        let told = results.iter().find(|result| result.resource_name.as_str() == name.as_str());
        if told.is_some_and(|told| told.error_code == UNKNOWN_TOPIC) {
            cluster.view().forget(name);
            specs.push(None);
            continue;
        }
        if let Some(told) = told.filter(|told| told.error_code != 0) {
            let text = told.error_message.as_ref().map(|text| text.as_str());
            cluster.say_untold(&error::of(told.error_code, format!("the settings of topic '{name}' are not told"), text));
        }
        for config in told.into_iter().flat_map(|told| &told.configs) {
            settings::set(&mut spec, &config.name, config.value.as_deref().unwrap_or_default());
        }
        cluster.view().describe(name, asked, spec.clone());
        specs.push(Some(spec));
    }
    Ok(specs)
}

async fn describe_configs(
    cluster: &Cluster,
    names: &[TopicName],
    settings: Option<&[&str]>,
) -> Result<Vec<DescribeConfigsResult>, Failure> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let keys = settings.map(|names| names.iter().map(|name| StrBytes::from_string((*name).to_owned())).collect::<Vec<_>>());
    let resource = |name: &TopicName| {
        DescribeConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(StrBytes::from_string(name.as_str().to_owned()))
            .with_configuration_keys(keys.clone())
    };
    let request = DescribeConfigsRequest::default().with_resources(names.iter().map(resource).collect());
    Ok(cluster.call_any(&request).await?.results)
}

/// Sets some of a topic's settings.
async fn set(cluster: &Cluster, attempts: &mut Attempts, name: &TopicName, changed: &[&str], wanted: &TopicSpec) -> Result<()> {
    let what = format!("the settings of topic '{name}' can't be changed");
    let resource_name = StrBytes::from_string(name.as_str().to_owned());
    let value = |name: &str| Some(StrBytes::from_string(settings::value_of(wanted, name)));
    let controller = attempts.in_time(main_of_controller(cluster)).await.map_err(Failure::into_error)?;
    if controller.versions.pick(ApiKey::IncrementalAlterConfigs as i16).is_ok() {
        let config = |name: &&str| {
            let key = StrBytes::from_string((*name).to_owned());
            AlterableConfig::default().with_name(key).with_config_operation(SET).with_value(value(name))
        };
        let resource = AlterConfigsResource::default().with_resource_type(TOPIC).with_resource_name(resource_name);
        let resource = resource.with_configs(changed.iter().map(config).collect());
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        return ask_controller(cluster, attempts, &what, &request, None, |answer| {
            answer.responses.into_iter().next().map(|resource| (resource.error_code, resource.error_message))
        })
        .await;
    }
    // The older request resets what it does not name.
    let told = attempts.in_time(describe_configs(cluster, std::slice::from_ref(name), None)).await;
    let told = told.map_err(Failure::into_error)?;
    let kept = told.into_iter().flat_map(|told| told.configs);
    let kept = kept.filter(|config| config.config_source == OWN_SETTING && !changed.contains(&config.name.as_str()));
    let mut configs: Vec<FullConfig> =
        kept.map(|config| FullConfig::default().with_name(config.name).with_value(config.value)).collect();
    let changes = changed
        .iter()
        .map(|name| FullConfig::default().with_name(StrBytes::from_string((*name).to_owned())).with_value(value(name)));
    configs.extend(changes);
    let resource = FullResource::default().with_resource_type(TOPIC).with_resource_name(resource_name).with_configs(configs);
    let request = AlterConfigsRequest::default().with_resources(vec![resource]);
    ask_controller(cluster, attempts, &what, &request, None, |answer| {
        answer.responses.into_iter().next().map(|resource| (resource.error_code, resource.error_message))
    })
    .await
}

/// Asks the controller until it is decided. `done_before` is what it says if an attempt whose answer was lost has done it.
async fn ask_controller<R: Asked>(
    cluster: &Cluster,
    attempts: &mut Attempts,
    what: &str,
    request: &R,
    done_before: Option<i16>,
    take: impl Fn(R::Response) -> Option<Answered>,
) -> Result<()> {
    let mut undecided = false;
    loop {
        let ask = async { cluster.controller().await?.call(request).await };
        let error = match attempts.in_time(ask).await.map(&take) {
            Ok(Some((0, _))) => return Ok(()),
            Ok(Some((code, _))) if undecided && done_before == Some(code) => return Ok(()),
            Ok(Some((code, text))) => {
                let error = error::of(code, what, text.as_ref().map(|text| text.as_str()));
                // That it is not there is no reason to wait here.
                if !error::passes(code) || code == UNKNOWN_TOPIC {
                    return Err(error);
                }
                undecided |= !error::is_elsewhere(code);
                error
            }
            Ok(None) => Error::retry(format!("{what}: the broker answers for another topic")),
            Err(Failure::Fatal(error)) => return Err(error),
            Err(Failure::Lost(error)) => {
                undecided = true;
                error
            }
            Err(Failure::Unsent(error)) => error,
        };
        attempts.pause_after(error).await?;
        // It may be another by now.
        let _ = attempts.in_time(cluster.ask_metadata(Some(&[]))).await;
    }
}

/// Waits until a broker tells what the controller decided.
async fn shows(
    cluster: &Cluster,
    attempts: &mut Attempts,
    name: &TopicName,
    is_there: impl Fn(Option<&Topic>) -> bool,
) -> Result<()> {
    loop {
        let error = match attempts.in_time(cluster.ask_metadata(Some(std::slice::from_ref(name)))).await {
            Ok(_) => {
                let view = cluster.view();
                let topic = view.seen(name).and_then(|seen| seen.topic.as_ref().ok()).and_then(Option::as_ref);
                if is_there(topic) {
                    return Ok(());
                }
                Error::retry(format!("the brokers do not tell yet what became of topic '{name}'"))
            }
            Err(Failure::Fatal(error)) => return Err(error),
            Err(failure) => failure.into_error(),
        };
        attempts.pause_after(error).await?;
    }
}

/// How many replicas a new topic gets.
async fn replication(cluster: &Cluster, attempts: &Attempts) -> Result<i16> {
    if let Some(replicas) = cluster.options().replication {
        return Ok(replicas);
    }
    let connection = attempts.in_time(main_of_controller(cluster)).await.map_err(Failure::into_error)?;
    let version = connection.versions.pick(ApiKey::CreateTopics as i16)?;
    Ok(if version >= KNOWS_DEFAULT { DEFAULT_REPLICATION } else { 1 })
}

async fn main_of_controller(cluster: &Cluster) -> Result<Arc<Connection>, Failure> {
    cluster.controller().await?.main().await
}

fn timeout_ms(cluster: &Cluster) -> i32 {
    i32::try_from(cluster.options().answer_timeout.as_millis() * 4 / 5).unwrap_or(i32::MAX)
}
