//! Who may do what in a conversation: the one place where it is decided.
//!
//! [`authorise`] is a pure function of three things: what somebody wants to do, where they stand, and what
//! kind of conversation it is. Everything else (is this really that account, is the commit valid) has been
//! checked before.
//!
//! | | direct | group | room |
//! |---|---|---|---|
//! | read, write, leave, refresh keys | members | members | members |
//! | read up to the own removal | former members | former members | former members |
//! | see the group in order to join, join by oneself | admitted, of the pair | admitted | admitted, or anybody if listed |
//! | a further device of a member, or one less of the own | members | members | members |
//! | take out a device that its account no longer has | members | members | members |
//! | add an account | members, the pair only | members | moderators |
//! | remove an account | nobody, unless it said that it leaves | moderators, none above themselves | as group |
//! | invite by link | nobody | moderators | moderators |
//! | set roles | nobody | owners, one must stay | as group |
//!
//! Whoever is outside learns one thing only: that they are not a member. Whether the conversation exists is
//! not told apart.

use sotto_protocol::body::conversation::{Kind, Role};
use sotto_protocol::error::ErrorCode;

/// What somebody wants to do in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Read what comes, and all that is kept: fetch, follow, list members.
    Read,
    /// Read what came up to the own removal.
    ReadPast,
    /// See the current group info and tree, in order to join by external commit.
    SeeGroup,
    /// Append a content, send an ephemeral.
    Write,
    /// Say that one leaves.
    Leave,
    /// Commit fresh keys for the own leaf.
    Refresh,
    /// Bring a further device of a member into the group, or one of the own back into it.
    AddDevice,
    /// Take one of the own devices out.
    RemoveOwnDevice,
    /// Take out a device that its account has removed from its list.
    RemoveLostDevice,
    /// Take out one device of another account that still has it: nobody may.
    RemoveOthersDevice,
    /// Join by oneself, by external commit.
    Join {
        /// Whether the account is one of the two of a direct conversation.
        of_the_pair: bool,
    },
    /// Add an account.
    AddMember {
        /// Whether the account is one of the two of a direct conversation.
        of_the_pair: bool,
    },
    /// Remove another account with all its devices.
    RemoveMember {
        /// What it is in the conversation.
        target: Role,
        /// Whether it has said itself that it leaves.
        has_left: bool,
    },
    /// Make a link by which others are admitted.
    Invite,
    /// Change somebody's role.
    SetRole {
        /// Whether nobody would be an owner afterwards.
        no_owner_left: bool,
    },
}

/// Where an account stands in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It has no leaf in the group, or has said that it leaves.
    Outside {
        /// An invite admits it, or the room is listed.
        admitted: bool,
        /// It was a member once.
        former: bool,
    },
    /// It is a member.
    Inside(Role),
}

impl Standing {
    /// Neither member nor anything.
    pub const STRANGER: Self = Self::Outside { admitted: false, former: false };
}

/// Why somebody may not. The account is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// Not a member, or no such conversation.
    #[error("you are not a member of this conversation, or it does not exist")]
    NotMember,
    /// The role is too low.
    #[error("this needs the role {0:?} in the conversation")]
    NeedsRole(Role),
    /// The member to remove stands above.
    #[error("a member can be removed only by somebody who is not below them")]
    AboveYou,
    /// A direct conversation has its two accounts and nothing to decide about.
    #[error("a direct conversation stays between its two accounts")]
    DirectStaysTwo,
    /// Single devices of others are not taken out.
    #[error("a device of another account can be removed only when that account no longer has it")]
    NotYourDevice,
    /// An owner must stay.
    #[error("a conversation keeps at least one owner")]
    LastOwner,
}

impl Denied {
    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::NotMember => ErrorCode::NotMember,
            Self::NeedsRole(_)
            | Self::AboveYou
            | Self::DirectStaysTwo
            | Self::NotYourDevice
            | Self::LastOwner => ErrorCode::Forbidden,
        }
    }
}

/// Decides.
///
/// # Errors
/// Why not.
pub fn authorise(action: Action, standing: Standing, kind: Kind) -> Result<(), Denied> {
    match standing {
        Standing::Outside { admitted, former } => outside(action, admitted, former, kind),
        Standing::Inside(role) => inside(action, role, kind),
    }
}

fn outside(action: Action, admitted: bool, former: bool, kind: Kind) -> Result<(), Denied> {
    let may = match action {
        Action::ReadPast => former,
        Action::SeeGroup => admitted,
        Action::Join { of_the_pair } => admitted && (kind != Kind::Direct || of_the_pair),
        _ => false,
    };
    if may { Ok(()) } else { Err(Denied::NotMember) }
}

fn inside(action: Action, role: Role, kind: Kind) -> Result<(), Denied> {
    let direct = kind == Kind::Direct;
    match action {
        Action::Read
        | Action::ReadPast
        | Action::SeeGroup
        | Action::Write
        | Action::Leave
        | Action::Refresh
        | Action::AddDevice
        | Action::RemoveOwnDevice
        | Action::RemoveLostDevice
        // A member that joins again brings in a device, at most.
        | Action::Join { .. } => Ok(()),
        Action::RemoveOthersDevice => Err(Denied::NotYourDevice),
        Action::AddMember { of_the_pair } => match kind {
            Kind::Direct if of_the_pair => Ok(()),
            Kind::Direct => Err(Denied::DirectStaysTwo),
            Kind::Group => Ok(()),
            Kind::Room => needs(Role::Moderator, role),
        },
        Action::RemoveMember { has_left: true, .. } => Ok(()),
        Action::RemoveMember { .. } if direct => Err(Denied::DirectStaysTwo),
        Action::RemoveMember { target, .. } => {
            needs(Role::Moderator, role)?;
            if target <= role { Ok(()) } else { Err(Denied::AboveYou) }
        }
        Action::Invite | Action::SetRole { .. } if direct => Err(Denied::DirectStaysTwo),
        Action::Invite => needs(Role::Moderator, role),
        Action::SetRole { no_owner_left } => {
            needs(Role::Owner, role)?;
            if no_owner_left { Err(Denied::LastOwner) } else { Ok(()) }
        }
    }
}

fn needs(least: Role, role: Role) -> Result<(), Denied> {
    if role >= least { Ok(()) } else { Err(Denied::NeedsRole(least)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Denied::{AboveYou, DirectStaysTwo, LastOwner, NeedsRole, NotMember, NotYourDevice};
    use Role::{Member, Moderator, Owner};

    const KINDS: [Kind; 3] = [Kind::Direct, Kind::Group, Kind::Room];
    const ROLES: [Role; 3] = [Member, Moderator, Owner];
    const YES: Result<(), Denied> = Ok(());

    fn remove(target: Role, has_left: bool) -> Action {
        Action::RemoveMember { target, has_left }
    }

    /// For each kind, the answers to a member, a moderator and an owner.
    type Answers = [[Result<(), Denied>; 3]; 3];

    /// Every action with its answers.
    fn inside_table() -> Vec<(Action, Answers)> {
        let all = [[YES; 3]; 3];
        let pair_only = [Err(DirectStaysTwo); 3];
        let moderators = [Err(NeedsRole(Moderator)), YES, YES];
        let owners = [Err(NeedsRole(Owner)), Err(NeedsRole(Owner)), YES];
        let last_owner = [Err(NeedsRole(Owner)), Err(NeedsRole(Owner)), Err(LastOwner)];
        let against_owner = [Err(NeedsRole(Moderator)), Err(AboveYou), YES];
        vec![
            (Action::Read, all),
            (Action::ReadPast, all),
            (Action::SeeGroup, all),
            (Action::Write, all),
            (Action::Leave, all),
            (Action::Refresh, all),
            (Action::AddDevice, all),
            (Action::RemoveOwnDevice, all),
            (Action::RemoveLostDevice, all),
            (Action::RemoveOthersDevice, [[Err(NotYourDevice); 3]; 3]),
            (Action::Join { of_the_pair: true }, all),
            (Action::Join { of_the_pair: false }, all),
            (Action::AddMember { of_the_pair: true }, [[YES; 3], [YES; 3], moderators]),
            (Action::AddMember { of_the_pair: false }, [pair_only, [YES; 3], moderators]),
            (remove(Member, false), [pair_only, moderators, moderators]),
            (remove(Moderator, false), [pair_only, moderators, moderators]),
            (remove(Owner, false), [pair_only, against_owner, against_owner]),
            (remove(Member, true), all),
            (remove(Moderator, true), all),
            (remove(Owner, true), all),
            (Action::Invite, [pair_only, moderators, moderators]),
            (Action::SetRole { no_owner_left: false }, [pair_only, owners, owners]),
            (Action::SetRole { no_owner_left: true }, [pair_only, last_owner, last_owner]),
        ]
    }

    #[test]
    fn every_action_of_every_role_in_every_kind_is_decided_as_the_table_says() {
        for (action, by_kind) in inside_table() {
            for (kind, by_role) in KINDS.into_iter().zip(by_kind) {
                for (role, answer) in ROLES.into_iter().zip(by_role) {
                    let got = authorise(action, Standing::Inside(role), kind);
                    assert_eq!(got, answer, "{action:?} by {role:?} in {kind:?}");
                }
            }
        }
    }

    #[test]
    fn outsiders_may_what_they_are_admitted_to_and_else_learn_nothing() {
        for (action, _) in inside_table() {
            for kind in KINDS {
                for (admitted, former) in [(false, false), (false, true), (true, false), (true, true)] {
                    let may = match action {
                        Action::ReadPast => former,
                        Action::SeeGroup | Action::Join { of_the_pair: true } => admitted,
                        Action::Join { of_the_pair: false } => admitted && kind != Kind::Direct,
                        _ => false,
                    };
                    let answer = if may { YES } else { Err(NotMember) };
                    let got = authorise(action, Standing::Outside { admitted, former }, kind);
                    assert_eq!(got, answer, "{action:?}, admitted {admitted}, former {former}, in {kind:?}");
                }
            }
        }
    }

    /// P-025.
    #[test]
    fn a_stranger_is_told_that_it_is_no_member_and_others_what_is_forbidden() {
        assert_eq!(NotMember.code(), ErrorCode::NotMember);
        for denied in [NeedsRole(Owner), AboveYou, DirectStaysTwo, NotYourDevice, LastOwner] {
            assert_eq!(denied.code(), ErrorCode::Forbidden);
        }
    }
}
