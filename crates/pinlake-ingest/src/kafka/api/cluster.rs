//! What this broker is: ApiVersions, FindCoordinator, DescribeCluster, DescribeLogDirs.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::BrokerId;
use kafka_protocol::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use kafka_protocol::messages::describe_cluster_request::DescribeClusterRequest;
use kafka_protocol::messages::describe_cluster_response::{DescribeClusterBroker, DescribeClusterResponse};
use kafka_protocol::messages::describe_log_dirs_request::DescribeLogDirsRequest;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use kafka_protocol::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;

use super::{CLUSTER_OPERATIONS, Call, allowed, wire_name, wire_number, wire_text};
use crate::kafka::broker::NODE_ID;
use crate::kafka::error::NONE;
use crate::kafka::versions::APIS;

/// A group's coordinator, and a transaction's.
const COORDINATORS: [i8; 2] = [0, 1];

/// Which APIs are served. A version that is not served is answered in version 0, with the versions that are.
pub(super) fn api_versions(call: &Call<'_>) -> Result<Bytes, String> {
    let told = |api: &crate::kafka::versions::Api| {
        ApiVersion::default().with_api_key(api.key as i16).with_min_version(api.told_from).with_max_version(api.to)
    };
    let response = ApiVersionsResponse::default().with_api_keys(APIS.iter().map(told).collect());
    if call.request.api.serves(call.request.version) {
        return call.request.answer(&response);
    }
    call.request.answer_in(0, &response.with_error_code(ResponseError::UnsupportedVersion.code()))
}

/// The cluster, which is this broker.
pub(super) fn describe_cluster(call: &Call<'_>, request: &DescribeClusterRequest) -> DescribeClusterResponse {
    let (host, port) = call.broker.address(call.ends.local);
    let broker =
        DescribeClusterBroker::default().with_broker_id(BrokerId(NODE_ID)).with_host(wire_text(host)).with_port(i32::from(port));
    DescribeClusterResponse::default()
        .with_endpoint_type(1)
        .with_cluster_id(wire_text(&*call.broker.cluster_id))
        .with_controller_id(BrokerId(NODE_ID))
        .with_brokers(vec![broker])
        .with_cluster_authorized_operations(allowed(&CLUSTER_OPERATIONS, request.include_cluster_authorized_operations))
}

/// Who coordinates a group or a transaction: this broker.
pub(super) fn find_coordinator(call: &Call<'_>, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    let (host, port) = call.broker.address(call.ends.local);
    let (host, port) = (wire_text(host), i32::from(port));
    let error = if COORDINATORS.contains(&request.key_type) { NONE } else { ResponseError::InvalidRequest.code() };
    let coordinator = |key: StrBytes| {
        let found = Coordinator::default().with_key(key).with_error_code(error);
        if error == NONE { found.with_node_id(BrokerId(NODE_ID)).with_host(host.clone()).with_port(port) } else { found }
    };
    if call.request.version >= 4 {
        let coordinators = request.coordinator_keys.into_iter().map(coordinator).collect();
        return FindCoordinatorResponse::default().with_coordinators(coordinators);
    }
    FindCoordinatorResponse::default()
        .with_error_code(error)
        .with_node_id(BrokerId(NODE_ID))
        .with_host(host.clone())
        .with_port(port)
}

/// How large the partitions are. The log does not tell bytes by partition, so only their names are told.
pub(super) async fn describe_log_dirs(call: &Call<'_>, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
    let topics = match call.broker.log().topics().await {
        Ok(topics) => topics,
        Err(error) => return DescribeLogDirsResponse::default().with_error_code(crate::kafka::error::code(&error)),
    };
    let asked = |name: &str| request.topics.as_ref().is_none_or(|asked| asked.iter().any(|topic| &**topic.topic == name));
    let described = topics.iter().filter(|topic| asked(topic.name.as_str())).map(|topic| {
        let partitions = (0..topic.spec.partitions)
            .map(|partition| DescribeLogDirsPartition::default().with_partition_index(wire_number(partition)));
        DescribeLogDirsTopic::default().with_name(wire_name(&topic.name)).with_partitions(partitions.collect())
    });
    let result = DescribeLogDirsResult::default()
        .with_log_dir(StrBytes::from_static_str("log"))
        .with_topics(described.collect())
        .with_total_bytes(-1)
        .with_usable_bytes(-1);
    DescribeLogDirsResponse::default().with_results(vec![result])
}
