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
    /// Looking after the relay: its accounts, invites, rooms and figures.
    Operate,
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
    /// Looking after the relay is for its operators.
    #[error("only operators of this relay may do this")]
    NotAnOperator,
    /// Nobody could look after the relay any more.
    #[error("this is the relay's last operator; give the role to somebody else first")]
    LastOperator,
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
        (Act::Operate, _) if role < Role::Operator => Err(Denied::NotAnOperator),
        (Act::SignIn | Act::InviteToRelay | Act::Operate, _) => Ok(()),
    }
}

/// A change of an account's role and standing, as an operator asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Its role now, and whether it is disabled.
    pub from: (Role, bool),
    /// What both are to be.
    pub to: (Role, bool),
    /// How many other accounts may operate the relay.
    pub others: usize,
}

/// Decides: somebody must remain who may operate the relay.
///
/// # Errors
/// If nobody would.
pub fn may_change(change: Change) -> Result<(), Denied> {
    let operates = |(role, disabled)| may(role, disabled, Act::Operate, InviteMakers::default()).is_ok();
    if operates(change.from) && !operates(change.to) && change.others == 0 {
        return Err(Denied::LastOperator);
    }
    Ok(())
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
        use Act::{InviteToRelay, Operate, SignIn};
        use InviteMakers::{Operators, Users};
        for (role, act, makers, outcome) in [
            (Role::User, SignIn, Users, Ok(())),
            (Role::User, SignIn, Operators, Ok(())),
            (Role::User, InviteToRelay, Users, Ok(())),
            (Role::User, InviteToRelay, Operators, Err(Denied::OperatorsOnly)),
            (Role::User, Operate, Users, Err(Denied::NotAnOperator)),
            (Role::User, Operate, Operators, Err(Denied::NotAnOperator)),
            (Role::Operator, Operate, Users, Ok(())),
            (Role::Operator, Operate, Operators, Ok(())),
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
    #[test]
    fn a_relay_keeps_its_last_operator_who_can_sign_in() {
        use Role::{Operator, User};
        let last = Err(Denied::LastOperator);
        for (from, to, others, outcome) in [
            ((Operator, false), (User, false), 0, last),
            ((Operator, false), (Operator, true), 0, last),
            ((Operator, false), (User, true), 0, last),
            ((Operator, false), (Operator, false), 0, Ok(())),
            ((Operator, false), (User, false), 1, Ok(())),
            ((Operator, true), (User, true), 0, Ok(())),
            ((User, false), (Operator, false), 0, Ok(())),
            ((User, false), (User, true), 0, Ok(())),
        ] {
            assert_eq!(may_change(Change { from, to, others }), outcome, "{from:?} {to:?} {others}");
        }
    }
}
