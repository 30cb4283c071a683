//! Who may do what to a text: the one place where it is decided, for what is asked here and for what others say.
//!
//! | | direct | group | room |
//! |---|---|---|---|
//! | edit a text | its author | its author | its author |
//! | delete a text | its author | its author, moderators | its author, moderators |
//! | react to a text | members | members | members |
//! | pin a text, unpin it, set the timer | members | members | moderators |
//!
//! The author is the account that the content's checked signature names, whichever of its devices sent it and whether
//! or not it is still a member; an owner may what a moderator may. Roles are the relay's word: a role that does not
//! suffice is asked for once more before an act of somebody else counts as refused.

use sotto_protocol::body::conversation::{Kind, Role};

/// What somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Edit,
    Delete,
    React,
    Pin,
    SetTimer,
}

/// What it is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    /// A text of one's own.
    Own,
    /// A text of another account.
    Others,
    /// A text that was deleted, of one's own or of another account.
    Deleted { own: bool },
    /// Something that is no text: who came and went, the name, the timer.
    NoText,
    /// Nothing that this device has: it may come yet, and what is done to it waits.
    Away,
    /// The conversation as a whole.
    Conversation,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    #[error("only its author may do this to a text")]
    NotAuthor,
    #[error("this needs the role {0:?} in the conversation")]
    NeedsRole(Role),
    #[error("the text was deleted")]
    Deleted,
    #[error("there is no text at that place")]
    NoText,
    #[error("this device has no text at that place")]
    Away,
}

/// Decides.
pub(crate) fn authorise(act: Act, aim: Aim, kind: Kind, role: Role) -> Result<(), Denied> {
    match (act, aim) {
        (Act::SetTimer, Aim::Conversation) => arrange(kind, role),
        (Act::SetTimer, _) | (_, Aim::Conversation | Aim::NoText) => Err(Denied::NoText),
        (_, Aim::Away) => Err(Denied::Away),
        // Two may delete the same text; which of them is named must not depend on who was heard first.
        (Act::Edit | Act::Delete, Aim::Own) | (Act::Delete, Aim::Deleted { own: true }) => Ok(()),
        (Act::Delete, Aim::Others | Aim::Deleted { own: false }) => delete_of_others(kind, role),
        (_, Aim::Deleted { .. }) => Err(Denied::Deleted),
        (Act::Edit, Aim::Others) => Err(Denied::NotAuthor),
        (Act::React, Aim::Own | Aim::Others) => Ok(()),
        (Act::Pin, Aim::Own | Aim::Others) => arrange(kind, role),
    }
}

fn delete_of_others(kind: Kind, role: Role) -> Result<(), Denied> {
    match kind {
        Kind::Direct => Err(Denied::NotAuthor),
        Kind::Group | Kind::Room => needs(Role::Moderator, role),
    }
}

fn arrange(kind: Kind, role: Role) -> Result<(), Denied> {
    match kind {
        Kind::Direct | Kind::Group => Ok(()),
        Kind::Room => needs(Role::Moderator, role),
    }
}

fn needs(least: Role, role: Role) -> Result<(), Denied> {
    if role >= least { Ok(()) } else { Err(Denied::NeedsRole(least)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Denied::{Away, Deleted, NeedsRole, NoText, NotAuthor};
    use Kind::{Direct, Group, Room};
    use Role::{Member, Moderator, Owner};

    type Verdict = Result<(), Denied>;

    const YES: Verdict = Ok(());
    const ROLE: Verdict = Err(NeedsRole(Moderator));

    /// For each act and aim: what a member and a moderator are told in a direct conversation, a group and a room.
    const TABLE: [(Act, Aim, [[Verdict; 2]; 3]); 26] = [
        (Act::Edit, Aim::Own, [[YES; 2]; 3]),
        (Act::Edit, Aim::Others, [[Err(NotAuthor); 2]; 3]),
        (Act::Edit, Aim::Deleted { own: true }, [[Err(Deleted); 2]; 3]),
        (Act::Edit, Aim::NoText, [[Err(NoText); 2]; 3]),
        (Act::Edit, Aim::Away, [[Err(Away); 2]; 3]),
        (Act::Delete, Aim::Own, [[YES; 2]; 3]),
        (Act::Delete, Aim::Others, [[Err(NotAuthor); 2], [ROLE, YES], [ROLE, YES]]),
        (Act::Delete, Aim::Deleted { own: true }, [[YES; 2]; 3]),
        (Act::Delete, Aim::Deleted { own: false }, [[Err(NotAuthor); 2], [ROLE, YES], [ROLE, YES]]),
        (Act::Delete, Aim::NoText, [[Err(NoText); 2]; 3]),
        (Act::Delete, Aim::Away, [[Err(Away); 2]; 3]),
        (Act::React, Aim::Own, [[YES; 2]; 3]),
        (Act::React, Aim::Others, [[YES; 2]; 3]),
        (Act::React, Aim::Deleted { own: false }, [[Err(Deleted); 2]; 3]),
        (Act::React, Aim::NoText, [[Err(NoText); 2]; 3]),
        (Act::React, Aim::Away, [[Err(Away); 2]; 3]),
        (Act::Pin, Aim::Own, [[YES; 2], [YES; 2], [ROLE, YES]]),
        (Act::Pin, Aim::Others, [[YES; 2], [YES; 2], [ROLE, YES]]),
        (Act::Pin, Aim::Deleted { own: true }, [[Err(Deleted); 2]; 3]),
        (Act::Pin, Aim::NoText, [[Err(NoText); 2]; 3]),
        (Act::Pin, Aim::Away, [[Err(Away); 2]; 3]),
        (Act::SetTimer, Aim::Conversation, [[YES; 2], [YES; 2], [ROLE, YES]]),
        (Act::SetTimer, Aim::Own, [[Err(NoText); 2]; 3]),
        (Act::Edit, Aim::Conversation, [[Err(NoText); 2]; 3]),
        (Act::Delete, Aim::Conversation, [[Err(NoText); 2]; 3]),
        (Act::Pin, Aim::Conversation, [[Err(NoText); 2]; 3]),
    ];

    #[test]
    fn every_act_on_every_aim_is_decided_as_the_table_says() {
        for (act, aim, expected) in TABLE {
            for (kind, [member, moderator]) in [Direct, Group, Room].into_iter().zip(expected) {
                assert_eq!(authorise(act, aim, kind, Member), member, "{act:?} {aim:?} {kind:?} member");
                for role in [Moderator, Owner] {
                    assert_eq!(
                        authorise(act, aim, kind, role),
                        moderator,
                        "{act:?} {aim:?} {kind:?} {role:?}"
                    );
                }
            }
        }
    }
}
