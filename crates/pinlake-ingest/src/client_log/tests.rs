//! What clients must not see.

use pinlake_core::{Clock, MemoryLog};

use super::*;
use crate::groups::GroupSettings;

#[tokio::test]
async fn the_servers_own_topics_are_not_there_whatever_they_are_called() {
    let log: Arc<dyn Log> = Arc::new(MemoryLog::new());
    for name in ["shown", OFFSETS_TOPIC, TRANSACTIONS_TOPIC, OwnTopics::OF_CLUSTER.streams, OwnTopics::OF_CLUSTER.sinks] {
        log.create_topic(&TopicName::new(name).unwrap(), TopicSpec::default()).await.unwrap();
    }
    let own = TopicName::new("__own_groups").unwrap();
    let settings = GroupSettings { topic: own.clone(), ..GroupSettings::default() };
    let groups = Groups::open(log.clone(), Clock::System, settings).await.unwrap();
    assert!(log.topic(&own).await.is_ok(), "the groups are kept where it is said");
    let clients = ClientLog::new(log, &groups);
    let names: Vec<_> = clients.topics().await.unwrap().into_iter().map(|topic| topic.name.to_string()).collect();
    assert_eq!(names, ["shown"]);
    for name in [OFFSETS_TOPIC, TRANSACTIONS_TOPIC, OwnTopics::OF_CLUSTER.streams, OwnTopics::OF_CLUSTER.sinks, "__own_groups"] {
        let topic = TopicName::new(name).unwrap();
        let refused = [
            clients.topic(&topic).await.unwrap_err(),
            clients.delete_topic(&topic).await.unwrap_err(),
            clients.range(&topic.partition(0)).await.unwrap_err(),
            clients.create_topic(&topic, TopicSpec::default()).await.unwrap_err(),
        ];
        assert!(refused.iter().all(|error| error.reason() == Some(Reason::OwnTopic)), "{refused:?}");
    }
}
