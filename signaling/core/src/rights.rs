//! What an account may do on the relay, by its role and its standing. Every door asks here.
//!
//! Roles are for the relay, not for conversations: an operator reads no more than any other account, because the
//! relay cannot. What the operator does at the console (`sotto-relay account ...`) needs no account at all.

use crate::account::{Account, Role};

/// Who may make invites that let people register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InviteMakers {
    /// Every account.
    #[default]
    Users,
    /// Operators only. Others still make invites into conversations; those register nobody.
    Operators,
}

/// What an account asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Opening a session, or using one that is open: everything else needs this first.
    SignIn,
    /// Making an invite that lets somebody register.
    InviteToRelay,
}

/// Why it may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// The operator disabled the account.
    #[error("this account was disabled by the relay's operator")]
    Disabled,
    /// The relay leaves this to its operators.
    #[error("only operators invite to this relay")]
    OperatorsOnly,
}

/// Decides.
///
/// # Errors
/// Why not.
pub fn may(role: Role, disabled: bool, act: Act, makers: InviteMakers) -> Result<(), Denied> {
    if disabled {
        return Err(Denied::Disabled);
    }
    match (act, makers) {
        (Act::InviteToRelay, InviteMakers::Operators) if role < Role::Operator => Err(Denied::OperatorsOnly),
        (Act::SignIn | Act::InviteToRelay, _) => Ok(()),
    }
}

impl Account {
    /// Whether its owner may sign in and use the sessions that are open.
    ///
    /// # Errors
    /// Why not.
    pub fn may_sign_in(&self) -> Result<(), Denied> {
        may(self.role, self.disabled.is_some(), Act::SignIn, InviteMakers::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_what_the_table_says() {
        use Act::{InviteToRelay, SignIn};
        use InviteMakers::{Operators, Users};
        for (role, act, makers, outcome) in [
            (Role::User, SignIn, Users, Ok(())),
            (Role::User, SignIn, Operators, Ok(())),
            (Role::User, InviteToRelay, Users, Ok(())),
            (Role::User, InviteToRelay, Operators, Err(Denied::OperatorsOnly)),
            (Role::Operator, SignIn, Users, Ok(())),
            (Role::Operator, SignIn, Operators, Ok(())),
            (Role::Operator, InviteToRelay, Users, Ok(())),
            (Role::Operator, InviteToRelay, Operators, Ok(())),
        ] {
            assert_eq!(may(role, false, act, makers), outcome, "{role:?} {act:?} {makers:?}");
            assert_eq!(
                may(role, true, act, makers),
                Err(Denied::Disabled),
                "a disabled {role:?} may nothing"
            );
        }
    }
}
