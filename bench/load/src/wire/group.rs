//! Groups: how long a new consumer group's only member waits from its first JoinGroup to its assignment.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use kafka_protocol::messages::leave_group_request::LeaveGroupRequest;
use kafka_protocol::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use kafka_protocol::messages::{FindCoordinatorRequest, GroupId, JoinGroupResponse};
use kafka_protocol::protocol::StrBytes;
use serde_json::json;
use tokio::time::Instant;

use super::client::{self, Client};
use crate::latencies::Latencies;

/// The first version of JoinGroup that gives out a member's id before it lets it in, as clients of today know it.
const JOIN_VERSION: i16 = 5;
/// The server does not read assignments.
const ASSIGNMENT: Bytes = Bytes::from_static(b"\0\0\0\0\0\0\0\0\0\0");

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  pinlake-load wire-group --to 127.0.0.1:9092 --group load-1 --groups 5")]
pub(crate) struct Args {
    /// Address and port of the broker
    #[arg(long, default_value = "127.0.0.1:9092")]
    to: String,
    /// What the groups' names begin with; groups of these names must not be there
    #[arg(long)]
    group: String,
    /// How many groups, one after the other
    #[arg(long, default_value_t = 5)]
    groups: usize,
}

/// Has one member join each group, and leave it again.
pub(crate) async fn run(args: &Args) -> Result<serde_json::Value> {
    ensure!(args.groups > 0, "groups are at least 1");
    let mut latencies = Latencies::default();
    for number in 0..args.groups {
        latencies.note(first_assignment(&args.to, format!("{}-{number}", args.group)).await?);
    }
    Ok(json!({ "groups": latencies.count(), "p50_ms": latencies.at_ms(0.5), "most_ms": latencies.at_ms(1.0) }))
}

async fn first_assignment(to: &str, group: String) -> Result<Duration> {
    let mut client = Client::connect(to).await?;
    let group = GroupId(StrBytes::from_string(group));
    let found = client.call(1, &FindCoordinatorRequest::default().with_key(group.0.clone())).await?;
    client::check(found.error_code).context("looking for the group's coordinator")?;
    let begun = Instant::now();
    let joined = join(&mut client, &group).await?;
    ensure!(joined.leader == joined.member_id, "the group '{}' has another member: give another --group", group.0.as_str());
    let own = SyncGroupRequestAssignment::default().with_member_id(joined.member_id.clone()).with_assignment(ASSIGNMENT);
    let request = SyncGroupRequest::default()
        .with_group_id(group.clone())
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_assignments(vec![own]);
    let synced = client.call(3, &request).await?;
    let took = begun.elapsed();
    client::check(synced.error_code).context("asking for the assignment")?;
    ensure!(synced.assignment == ASSIGNMENT, "the group's leader was given another assignment than it made");
    let request = LeaveGroupRequest::default().with_group_id(group).with_member_id(joined.member_id);
    client::check(client.call(2, &request).await?.error_code).context("leaving the group")?;
    Ok(took)
}

/// Joins without an id, is given one, and joins with that.
async fn join(client: &mut Client, group: &GroupId) -> Result<JoinGroupResponse> {
    let protocol = JoinGroupRequestProtocol::default().with_name(StrBytes::from_static_str("range")).with_metadata(ASSIGNMENT);
    let request = JoinGroupRequest::default()
        .with_group_id(group.clone())
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(60_000)
        .with_protocol_type(StrBytes::from_static_str("consumer"))
        .with_protocols(vec![protocol]);
    let mut joined = client.call(JOIN_VERSION, &request).await?;
    if joined.error_code == ResponseError::MemberIdRequired.code() {
        joined = client.call(JOIN_VERSION, &request.with_member_id(joined.member_id)).await?;
    }
    client::check(joined.error_code).context("joining the group")?;
    Ok(joined)
}
