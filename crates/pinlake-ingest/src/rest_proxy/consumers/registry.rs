//! All consumer instances of the process: makes them, finds them by name, and takes leave of them. What one does is its own business.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{Gauge, describe_gauge, gauge};
use pinlake_core::Log;
use tokio::sync::{mpsc, oneshot};

use super::instance::Instance;
use super::messages::{Message, Reply};
use super::settings::InstanceSettings;
use crate::groups::Groups;
use crate::groups::calls::GroupId;
use crate::rest_proxy::error::{INSTANCE_EXISTS, INSTANCE_NOT_FOUND, RestError};
use crate::settings::ConsumerSettings;

/// Calls that wait for one instance; more wait for their turn outside.
const CALLS_WAITING_MAX: usize = 16;

type Key = (GroupId, String);

struct Entry {
    calls: mpsc::Sender<Message>,
    settings: Arc<InstanceSettings>,
}

/// The instances. When it is dropped, they end.
pub(crate) struct Consumers {
    log: Arc<dyn Log>,
    groups: Groups,
    settings: ConsumerSettings,
    instances: Arc<Instances>,
}

struct Instances {
    by_name: Mutex<HashMap<Key, Entry>>,
    gauge: Gauge,
}

impl Instances {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, by_name: &HashMap<Key, Entry>) {
        self.gauge.set(by_name.len() as f64);
    }
}

impl Consumers {
    pub(crate) fn new(log: Arc<dyn Log>, groups: Groups, settings: ConsumerSettings) -> Self {
        describe_gauge!("pinlake_rest_consumers", "consumer instances of Kafka REST");
        let instances = Arc::new(Instances { by_name: Mutex::default(), gauge: gauge!("pinlake_rest_consumers") });
        Self { log, groups, settings, instances }
    }

    pub(crate) fn settings(&self) -> &ConsumerSettings {
        &self.settings
    }

    /// Makes an instance.
    pub(super) fn create(&self, group: GroupId, settings: InstanceSettings) -> Result<(), RestError> {
        let key = (group.clone(), settings.name.clone());
        let (calls, messages) = mpsc::channel(CALLS_WAITING_MAX);
        let own = calls.downgrade();
        {
            let mut by_name = self.instances.lock();
            if by_name.contains_key(&key) {
                let text = "Consumer with specified consumer ID already exists in the specified consumer group.";
                return Err(RestError::new(INSTANCE_EXISTS, text));
            }
            if by_name.len() >= self.settings.instances_max {
                let text =
                    "HTTP 429 Too Many Requests: there are as many consumer instances as may be: DELETE those that nobody needs";
                return Err(RestError::new(42901, text));
            }
            by_name.insert(key.clone(), Entry { calls, settings: Arc::new(settings.clone()) });
            self.instances.count(&by_name);
        }
        let instance = Instance::new(self.log.clone(), self.groups.clone(), group, settings, self.settings.idle_timeout);
        let instances = Arc::downgrade(&self.instances);
        tokio::spawn(async move {
            let waits_for_end = instance.run(messages).await;
            if let Some(instances) = instances.upgrade() {
                let mut by_name = instances.lock();
                let is_own = |found: &Entry| own.upgrade().is_some_and(|own| own.same_channel(&found.calls));
                if by_name.get(&key).is_some_and(is_own) {
                    by_name.remove(&key);
                }
                instances.count(&by_name);
            }
            if let Some(reply) = waits_for_end {
                // Whoever went away needs no answer.
                let _ = reply.send(Ok(()));
            }
        });
        Ok(())
    }

    /// Asks an instance.
    pub(super) async fn ask<T>(
        &self,
        group: &GroupId,
        name: &str,
        message: impl FnOnce(Reply<T>) -> Message,
    ) -> Result<T, RestError> {
        let (reply, answered) = oneshot::channel();
        self.send(group, name, message(reply)).await?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Asks an instance and does not wait for its answer.
    pub(super) async fn tell<T>(
        &self,
        group: &GroupId,
        name: &str,
        message: impl FnOnce(Reply<T>) -> Message,
    ) -> Result<(), RestError> {
        self.send(group, name, message(oneshot::channel().0)).await
    }

    /// What an instance was made with.
    pub(super) fn settings_of(&self, group: &GroupId, name: &str) -> Result<Arc<InstanceSettings>, RestError> {
        let found = self.instances.lock().get(&(group.clone(), name.to_owned())).map(|entry| entry.settings.clone());
        found.ok_or_else(gone)
    }

    async fn send(&self, group: &GroupId, name: &str, message: Message) -> Result<(), RestError> {
        let found = self.instances.lock().get(&(group.clone(), name.to_owned())).map(|entry| entry.calls.clone());
        found.ok_or_else(gone)?.send(message).await.map_err(|_| gone())
    }

    /// Closes all instances: they commit what they are to commit, and leave their groups.
    pub(crate) async fn close(&self) {
        let all: Vec<_> = self.instances.lock().values().map(|entry| entry.calls.clone()).collect();
        let close = |instance: mpsc::Sender<Message>| async move {
            let (reply, closed) = oneshot::channel();
            if instance.send(Message::Close(reply)).await.is_ok() {
                let _ = closed.await;
            }
        };
        futures::future::join_all(all.into_iter().map(close)).await;
    }
}

fn gone() -> RestError {
    RestError::new(INSTANCE_NOT_FOUND, "Consumer instance not found.")
}
