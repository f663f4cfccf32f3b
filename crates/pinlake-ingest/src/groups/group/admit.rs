//! Whether a join is let in: what it asks for, whether there is room, and whether its member could agree with the others. It changes
//! nothing.

use super::Group;
use super::member::{Member, bytes_of};
use crate::groups::calls::{JoinRequest, is_name};
use crate::groups::error::GroupError;

/// The most protocols that a member may offer.
const PROTOCOLS_MAX: usize = 64;

impl Group {
    /// Refuses a join that makes no sense or brings too much.
    pub(super) fn check_request(&self, request: &JoinRequest) -> Result<(), GroupError> {
        if !self.settings.session_timeout.contains(&request.session_timeout) {
            return Err(GroupError::InvalidSessionTimeout);
        }
        if request.group_instance_id.as_deref().is_some_and(|instance| !is_name(instance)) {
            return Err(GroupError::InvalidRequest("an instance id takes 1 to 249 bytes of printable characters: use another"));
        }
        if request.protocols.len() > PROTOCOLS_MAX || bytes_of(request) > self.settings.member_bytes_max {
            return Err(GroupError::InvalidRequest("the member brings too much metadata: subscribe to fewer topics"));
        }
        Ok(())
    }

    /// Refuses a member for which there is no room, or which nobody could agree with. `own` is the id under which its static
    /// instance is in the group.
    pub(super) fn check_room(&self, request: &JoinRequest, own: Option<&str>) -> Result<(), GroupError> {
        let own = own.unwrap_or(&request.member_id);
        let known = self.members.contains_key(own) || self.pending.contains_key(own);
        if !known && self.members.len() + self.pending.len() >= self.settings.members_max {
            return Err(GroupError::GroupMaxSize);
        }
        let before = self.members.get(own).map_or(0, Member::bytes);
        if self.bytes() - before + bytes_of(request) > self.settings.group_bytes_max {
            return Err(GroupError::GroupMaxSize);
        }
        let mut others = self.members.iter().filter(|(id, _)| *id != own).map(|(_, member)| member).peekable();
        let agrees = match others.peek() {
            None => !request.protocol_type.is_empty() && !request.protocols.is_empty(),
            Some(_) => {
                let others: Vec<&Member> = others.collect();
                let common = |name: &str| others.iter().all(|member| member.offers(name));
                request.protocol_type == self.protocol_type && request.protocols.iter().any(|protocol| common(&protocol.name))
            }
        };
        if agrees { Ok(()) } else { Err(GroupError::InconsistentProtocol) }
    }
}
