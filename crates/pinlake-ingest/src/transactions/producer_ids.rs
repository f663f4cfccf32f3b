//! Producer ids, given out once and never again: they are taken from the topic in blocks, which are written before the first of them is
//! used. What is left of a block at a restart is lost.

use std::ops::Range;
use std::sync::Arc;

use pinlake_core::Result;
use tokio::sync::Mutex;

use super::state::{Change, State};
use crate::topic_store::{Inflight, TopicStore};

/// How many ids are taken at once.
const BLOCK: i64 = 1000;

/// The ids that are taken and not given out.
#[derive(Default)]
pub(crate) struct ProducerIds(Mutex<Range<i64>>);

impl ProducerIds {
    /// An id that was never given out before.
    pub(crate) async fn next(&self, store: &Arc<TopicStore<State>>) -> Result<i64> {
        let mut left = self.0.lock().await;
        if left.is_empty() {
            let start = store.state().ids_end();
            let end = start + BLOCK;
            // A caller that goes away here has given out none: the next one takes this block, or the one behind it.
            store.submit(vec![Change::ProducerIds { end }], Inflight::default())?.durable().await?;
            *left = start..end;
        }
        Ok(left.next().expect("it was filled above"))
    }
}
