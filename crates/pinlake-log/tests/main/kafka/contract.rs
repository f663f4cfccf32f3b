//! The log's contract on a cluster, and what a cluster does with what is delegated to it.

use pinlake_core::testing::log_contract::{Delegated, run_without};

use super::noida::Noida;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cluster_keeps_the_contract_but_for_what_is_its_own() {
    let Some(broker) = Noida::start() else { return };
    // The last two are noida-db's, not Kafka's.
    let delegated = Delegated { offsets_after_deletion: true, transactions: true, producers_past: true, topic_ids: true };
    run_without(delegated, || broker.empty()).await;
}
