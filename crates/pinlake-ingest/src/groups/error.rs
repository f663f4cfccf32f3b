//! What a call about a group is refused with: one entry for each of Kafka's codes, and the way from the log's errors to them.

use std::fmt;

use pinlake_core::{Error, ErrorKind};

/// Why a call about a group was refused. Each has a code of Kafka's protocol, see [`GroupError::code`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GroupError {
    /// The partition does not exist.
    UnknownPartition,
    /// The text committed with an offset is too long.
    OffsetMetadataTooLarge,
    /// The groups are still being read from the log.
    CoordinatorLoading,
    /// The log is overloaded or its disk is full.
    CoordinatorNotAvailable,
    /// Another server leads the group.
    NotCoordinator,
    /// Another generation of the group has begun.
    IllegalGeneration,
    /// The member has no protocol in common with the others.
    InconsistentProtocol,
    /// The group's name can't be one.
    InvalidGroupId,
    /// The member is not in the group (any more).
    UnknownMember,
    /// The session timeout is out of bounds.
    InvalidSessionTimeout,
    /// The group finds itself anew: join again.
    RebalanceInProgress,
    /// More offsets than are kept.
    TooManyOffsets,
    /// The call makes no sense: the text says why.
    InvalidRequest(&'static str),
    /// More groups than are kept.
    TooManyGroups,
    /// A later incarnation of the transactional producer is there.
    InvalidProducerEpoch,
    /// The log took no append, and takes none any more.
    Storage,
    /// The group has members.
    NonEmptyGroup,
    /// There is no such group.
    GroupIdNotFound,
    /// Join again under this member id.
    MemberIdRequired(String),
    /// The group is full.
    GroupMaxSize,
    /// Another member has taken over the static instance.
    FencedInstance,
    /// Members of the group read the topic.
    SubscribedToTopic,
    /// A transaction that may commit other offsets is not finished.
    UnstableOffset,
}

impl GroupError {
    /// The error's code in Kafka's protocol.
    pub fn code(&self) -> i16 {
        match self {
            Self::UnknownPartition => 3,
            Self::OffsetMetadataTooLarge => 12,
            Self::CoordinatorLoading => 14,
            Self::CoordinatorNotAvailable => 15,
            Self::NotCoordinator => 16,
            Self::IllegalGeneration => 22,
            Self::InconsistentProtocol => 23,
            Self::InvalidGroupId => 24,
            Self::UnknownMember => 25,
            Self::InvalidSessionTimeout => 26,
            Self::RebalanceInProgress => 27,
            Self::TooManyOffsets => 28,
            Self::InvalidRequest(_) => 42,
            Self::TooManyGroups => 44,
            Self::InvalidProducerEpoch => 47,
            Self::Storage => 56,
            Self::NonEmptyGroup => 68,
            Self::GroupIdNotFound => 69,
            Self::MemberIdRequired(_) => 79,
            Self::GroupMaxSize => 81,
            Self::FencedInstance => 82,
            Self::SubscribedToTopic => 86,
            Self::UnstableOffset => 88,
        }
    }
}

impl fmt::Display for GroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownPartition => "the partition does not exist: look the topic up again",
            Self::OffsetMetadataTooLarge => "the text committed with an offset is too long: shorten it",
            Self::CoordinatorLoading => "the groups are still being read from the log: try again",
            Self::CoordinatorNotAvailable => "the log is overloaded or its disk is full: try again",
            Self::NotCoordinator => "another server leads the group: look its coordinator up again",
            Self::IllegalGeneration => "another generation of the group has begun: join again",
            Self::InconsistentProtocol => {
                "the member has no protocol in common with the group: let all members use the same assignor"
            }
            Self::InvalidGroupId => "a group's name takes 1 to 249 bytes of printable characters: use another",
            Self::UnknownMember => "the member is not in the group: join again without a member id",
            Self::InvalidSessionTimeout => "the session timeout is out of bounds: set it between the server's least and most",
            Self::RebalanceInProgress => "the group is rebalancing: join again",
            Self::TooManyOffsets => "too many offsets are kept already: delete groups that nobody needs",
            Self::InvalidRequest(why) => why,
            Self::TooManyGroups => "there are too many groups already: delete those that nobody needs",
            Self::InvalidProducerEpoch => "a later producer of the same transactional id is there: close this one",
            Self::Storage => "the groups' topic takes no more appends: see the server's log",
            Self::NonEmptyGroup => "the group has members: stop them first",
            Self::GroupIdNotFound => "there is no such group: check its name",
            Self::MemberIdRequired(_) => "join again under the member id of this answer",
            Self::GroupMaxSize => "the group is full: use fewer members",
            Self::FencedInstance => "another member has taken over this instance id: give each member its own",
            Self::SubscribedToTopic => "members of the group read the topic: stop them first",
            Self::UnstableOffset => "a transaction that commits offsets is not finished: try again",
        })
    }
}

impl std::error::Error for GroupError {}

impl From<&Error> for GroupError {
    /// What a failed append of the groups' topic means to a client.
    fn from(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Retry => Self::CoordinatorNotAvailable,
            _ => Self::Storage,
        }
    }
}

impl From<Error> for GroupError {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}
