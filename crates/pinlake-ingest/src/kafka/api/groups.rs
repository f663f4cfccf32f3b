//! The group protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup, and what tools ask of groups. The protocol itself is `groups`' own; here
//! it is read from and written to Kafka's messages.

use std::time::Duration;

use kafka_protocol::messages::GroupId as WireGroupId;
use kafka_protocol::messages::delete_groups_request::DeleteGroupsRequest;
use kafka_protocol::messages::delete_groups_response::{DeletableGroupResult, DeleteGroupsResponse};
use kafka_protocol::messages::describe_groups_request::DescribeGroupsRequest;
use kafka_protocol::messages::describe_groups_response::{DescribeGroupsResponse, DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::heartbeat_request::HeartbeatRequest;
use kafka_protocol::messages::heartbeat_response::HeartbeatResponse;
use kafka_protocol::messages::join_group_request::JoinGroupRequest;
use kafka_protocol::messages::join_group_response::{JoinGroupResponse, JoinGroupResponseMember};
use kafka_protocol::messages::leave_group_request::LeaveGroupRequest;
use kafka_protocol::messages::leave_group_response::{LeaveGroupResponse, MemberResponse};
use kafka_protocol::messages::list_groups_request::ListGroupsRequest;
use kafka_protocol::messages::list_groups_response::{ListGroupsResponse, ListedGroup};
use kafka_protocol::messages::sync_group_request::SyncGroupRequest;
use kafka_protocol::messages::sync_group_response::SyncGroupResponse;
use kafka_protocol::protocol::StrBytes;

use super::{Call, GROUP_OPERATIONS, allowed, once, wire_text};
use crate::groups::GroupError;
use crate::groups::calls::{self, GroupId, GroupState, JoinRequest, Joined, LeavingMember, SyncRequest};
use crate::kafka::error::NONE;

/// JoinGroup from this version on is sent away with a member id first.
const MEMBER_ID_FIRST: i16 = 4;
/// JoinGroup from this version on understands that an assignment may be skipped.
const SKIPS_ASSIGNMENT: i16 = 9;
/// LeaveGroup from this version on names several members.
const LEAVES_TOGETHER: i16 = 3;
const CLASSIC: StrBytes = StrBytes::from_static_str("classic");

pub(super) async fn join_group(call: &Call<'_>, request: JoinGroupRequest) -> JoinGroupResponse {
    let version = call.request.version;
    let member_id = request.member_id.clone();
    let joined = match join_request(call, request) {
        Ok(request) => call.broker.groups.join(request).await,
        Err(error) => Err(error),
    };
    match joined {
        Ok(joined) => joined_response(joined, version),
        Err(error) => {
            let member_id = match &error {
                GroupError::MemberIdRequired(id) => wire_text(id.clone()),
                _ => member_id,
            };
            let response =
                JoinGroupResponse::default().with_error_code(error.code()).with_generation_id(-1).with_member_id(member_id);
            // Older versions can't say that there is no protocol.
            response.with_protocol_name(Some(StrBytes::new())).with_protocol_type((version < 7).then(StrBytes::new))
        }
    }
}

fn join_request(call: &Call<'_>, request: JoinGroupRequest) -> Result<JoinRequest, GroupError> {
    let session_timeout = millis(request.session_timeout_ms);
    let rebalance_timeout = if call.request.version >= 1 { millis(request.rebalance_timeout_ms) } else { session_timeout };
    let protocols = request.protocols.into_iter();
    Ok(JoinRequest {
        group: GroupId::new(&request.group_id)?,
        member_id: request.member_id.as_str().to_owned(),
        group_instance_id: request.group_instance_id.map(|id| id.as_str().to_owned()),
        require_member_id: call.request.version >= MEMBER_ID_FIRST,
        can_skip_assignment: call.request.version >= SKIPS_ASSIGNMENT,
        client_id: call.request.client_id.clone(),
        client_host: format!("/{}", call.ends.peer.ip()),
        session_timeout,
        rebalance_timeout,
        protocol_type: request.protocol_type.as_str().to_owned(),
        protocols: protocols
            .map(|protocol| calls::Protocol { name: protocol.name.as_str().to_owned(), metadata: protocol.metadata })
            .collect(),
    })
}

fn joined_response(joined: Joined, version: i16) -> JoinGroupResponse {
    let member = |member: calls::JoinedMember| {
        JoinGroupResponseMember::default()
            .with_member_id(wire_text(member.member_id))
            .with_group_instance_id(member.group_instance_id.filter(|_| version >= 5).map(wire_text))
            .with_metadata(member.metadata)
    };
    JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_protocol_type((version >= 7).then(|| wire_text(joined.protocol_type)))
        .with_protocol_name(Some(wire_text(joined.protocol)))
        .with_leader(wire_text(joined.leader))
        .with_skip_assignment(joined.skip_assignment)
        .with_member_id(wire_text(joined.member_id))
        .with_members(joined.members.into_iter().map(member).collect())
}

fn millis(stated: i32) -> Duration {
    Duration::from_millis(u64::try_from(stated).unwrap_or(0))
}

pub(super) async fn sync_group(call: &Call<'_>, request: SyncGroupRequest) -> SyncGroupResponse {
    let says_protocol = call.request.version >= 5;
    let synced = match sync_request(request) {
        Ok(request) => call.broker.groups.sync(request).await,
        Err(error) => Err(error),
    };
    match synced {
        Ok(synced) => SyncGroupResponse::default()
            .with_protocol_type(says_protocol.then(|| wire_text(synced.protocol_type)))
            .with_protocol_name(says_protocol.then(|| wire_text(synced.protocol)))
            .with_assignment(synced.assignment),
        Err(error) => SyncGroupResponse::default().with_error_code(error.code()),
    }
}

fn sync_request(request: SyncGroupRequest) -> Result<SyncRequest, GroupError> {
    Ok(SyncRequest {
        group: GroupId::new(&request.group_id)?,
        generation: request.generation_id,
        member_id: request.member_id.as_str().to_owned(),
        group_instance_id: request.group_instance_id.map(|id| id.as_str().to_owned()),
        protocol_type: request.protocol_type.map(|kind| kind.as_str().to_owned()),
        protocol: request.protocol_name.map(|name| name.as_str().to_owned()),
        assignments: request
            .assignments
            .into_iter()
            .map(|assignment| (assignment.member_id.as_str().to_owned(), assignment.assignment))
            .collect(),
    })
}

pub(super) fn heartbeat(call: &Call<'_>, request: HeartbeatRequest) -> HeartbeatResponse {
    let beat = GroupId::new(&request.group_id).and_then(|group| {
        call.broker.groups.heartbeat(&calls::HeartbeatRequest {
            group,
            generation: request.generation_id,
            member_id: request.member_id.as_str().to_owned(),
            group_instance_id: request.group_instance_id.map(|id| id.as_str().to_owned()),
        })
    });
    HeartbeatResponse::default().with_error_code(code_of(&beat))
}

pub(super) fn leave_group(call: &Call<'_>, request: &LeaveGroupRequest) -> LeaveGroupResponse {
    let together = call.request.version >= LEAVES_TOGETHER;
    let members: Vec<LeavingMember> = if together {
        let leaving = |member: &kafka_protocol::messages::leave_group_request::MemberIdentity| LeavingMember {
            member_id: member.member_id.as_str().to_owned(),
            group_instance_id: member.group_instance_id.as_ref().map(|id| id.as_str().to_owned()),
        };
        request.members.iter().map(leaving).collect()
    } else {
        vec![LeavingMember { member_id: request.member_id.as_str().to_owned(), group_instance_id: None }]
    };
    let left = GroupId::new(&request.group_id).map(|group| call.broker.groups.leave(&group, &members));
    let left = match left {
        Ok(left) => left,
        Err(error) => return LeaveGroupResponse::default().with_error_code(error.code()),
    };
    if !together {
        return LeaveGroupResponse::default().with_error_code(left.first().map_or(NONE, code_of));
    }
    let answers = members.into_iter().zip(&left).map(|(member, left)| {
        MemberResponse::default()
            .with_member_id(wire_text(member.member_id))
            .with_group_instance_id(member.group_instance_id.map(wire_text))
            .with_error_code(code_of(left))
    });
    LeaveGroupResponse::default().with_members(answers.collect())
}

pub(super) fn describe_groups(call: &Call<'_>, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let operations = allowed(&GROUP_OPERATIONS, request.include_authorized_operations);
    let describe = |asked: WireGroupId| {
        let described = DescribedGroup::default().with_group_id(asked.clone()).with_authorized_operations(operations);
        match GroupId::new(&asked).and_then(|group| call.broker.groups.describe(&group)) {
            Ok(group) => {
                let members = group.members.into_iter().map(|member| {
                    DescribedGroupMember::default()
                        .with_member_id(wire_text(member.member_id))
                        .with_group_instance_id(member.group_instance_id.map(wire_text))
                        .with_client_id(wire_text(member.client_id))
                        .with_client_host(wire_text(member.client_host))
                        .with_member_metadata(member.metadata)
                        .with_member_assignment(member.assignment)
                });
                described
                    .with_group_state(StrBytes::from_static_str(group.state.as_str()))
                    .with_protocol_type(wire_text(group.protocol_type))
                    .with_protocol_data(wire_text(group.protocol))
                    .with_members(members.collect())
            }
            // As Kafka does: a group that is not there is one that is dead.
            Err(GroupError::GroupIdNotFound) => described.with_group_state(StrBytes::from_static_str(GroupState::Dead.as_str())),
            Err(error) => described.with_error_code(error.code()),
        }
    };
    DescribeGroupsResponse::default().with_groups(once(request.groups, WireGroupId::clone).map(describe).collect())
}

pub(super) fn list_groups(call: &Call<'_>, request: &ListGroupsRequest) -> ListGroupsResponse {
    let states = [
        GroupState::Empty,
        GroupState::PreparingRebalance,
        GroupState::CompletingRebalance,
        GroupState::Stable,
        GroupState::Dead,
    ];
    let asked: Vec<GroupState> = states
        .into_iter()
        .filter(|state| request.states_filter.iter().any(|asked| asked.eq_ignore_ascii_case(state.as_str())))
        .collect();
    let types_fit =
        request.types_filter.is_empty() || request.types_filter.iter().any(|asked| asked.eq_ignore_ascii_case("classic"));
    if !types_fit || (asked.is_empty() && !request.states_filter.is_empty()) {
        return ListGroupsResponse::default();
    }
    let listed = call.broker.groups.list(&asked).into_iter().map(|group| {
        ListedGroup::default()
            .with_group_id(WireGroupId(wire_text(group.group.as_str())))
            .with_protocol_type(wire_text(group.protocol_type))
            .with_group_state(StrBytes::from_static_str(group.state.as_str()))
            .with_group_type(CLASSIC)
    });
    ListGroupsResponse::default().with_groups(listed.collect())
}

pub(super) async fn delete_groups(call: &Call<'_>, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let mut results = Vec::with_capacity(request.groups_names.len());
    for asked in request.groups_names {
        let deleted = match GroupId::new(&asked) {
            Ok(group) => call.broker.groups.delete(&group).await,
            Err(error) => Err(error),
        };
        results.push(DeletableGroupResult::default().with_group_id(asked).with_error_code(code_of(&deleted)));
    }
    DeleteGroupsResponse::default().with_results(results)
}

/// The code of what a group call answered.
pub(super) fn code_of<T>(answered: &Result<T, GroupError>) -> i16 {
    answered.as_ref().err().map_or(NONE, GroupError::code)
}
