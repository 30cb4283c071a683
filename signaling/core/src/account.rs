//! Accounts and who may register one.
//!
//! **What may be learnt by asking.** A *user name* is public: people are found by it, so registering a taken one
//! is answered with "taken". An *e-mail address* is private, and nobody has verified it: it is not unique.
//! Registering with an address that another account already names works like with any other, and a sign-in by
//! address opens the account whose password fits. So no answer, and no amount of work behind it, tells whether
//! an account with that address existed before. (Codes by e-mail, later, verify an address and then let one
//! account own it.)

use crate::invite::RedeemRefused;
use crate::names::{Email, Username};
use crate::password::PasswordHash;
use bincode::{Decode, Encode};
use sotto_protocol::ids::{AccountId, UnixMillis};

/// What an account may do on the relay. Ordered: each may all that the ones before may.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Encode,
    Decode,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Talks.
    User,
    /// Runs the relay.
    Operator,
}

/// A person or a bot, as the relay stores it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Account {
    /// Drawn by the relay.
    pub id: AccountId,
    /// Unique on the relay.
    pub username: Username,
    /// As given; not unique, not verified.
    pub email: Email,
    /// Argon2id.
    pub password: PasswordHash,
    /// What it may do here.
    pub role: Role,
    /// When it registered.
    pub created: UnixMillis,
    /// Its Ed25519 identity key, set by its first device and never changed after.
    pub identity_key: Option<[u8; 32]>,
    /// Since when the operator keeps it out; `None` for an account in good standing.
    pub disabled: Option<UnixMillis>,
}

/// Who may register. The operator chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistrationPolicy {
    /// Anybody.
    Open,
    /// Who has an invite.
    #[default]
    Invite,
    /// Nobody.
    Closed,
}

/// The rules under which an account is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RegistrationRules {
    /// Who may register.
    pub policy: RegistrationPolicy,
    /// Whether the first account on an empty relay becomes its operator, whatever the policy says. Off unless
    /// the operator turns it on: else whoever finds a fresh relay first would own it.
    pub first_account_is_operator: bool,
}

/// What a registration does, once the rules let it through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// The role of the new account.
    pub role: Role,
    /// Whether the invite that came with it must be one that lets people register.
    pub by_invite: bool,
}

/// Why nobody was registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterRefused {
    /// The policy is closed.
    #[error("this relay takes no new accounts")]
    Closed,
    /// The policy asks for an invite and none came.
    #[error("registering on this relay needs an invite")]
    InviteRequired,
    /// An invite came and does not count.
    #[error(transparent)]
    Invite(#[from] RedeemRefused),
    /// Another account has the name.
    #[error("this user name is taken")]
    UsernameTaken,
}

impl RegistrationRules {
    /// Decides on one registration.
    ///
    /// # Errors
    /// If the policy forbids it. An invite is judged by [`Invite::redeem`](crate::invite::Invite::redeem) after.
    pub fn admit(self, relay_is_empty: bool, has_invite: bool) -> Result<Admission, RegisterRefused> {
        if relay_is_empty && self.first_account_is_operator {
            return Ok(Admission { role: Role::Operator, by_invite: false });
        }
        match (self.policy, has_invite) {
            (RegistrationPolicy::Closed, _) => Err(RegisterRefused::Closed),
            (RegistrationPolicy::Invite, false) => Err(RegisterRefused::InviteRequired),
            (RegistrationPolicy::Invite, true) => Ok(Admission { role: Role::User, by_invite: true }),
            (RegistrationPolicy::Open, _) => Ok(Admission { role: Role::User, by_invite: false }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn rules(policy: RegistrationPolicy, first: bool) -> RegistrationRules {
        RegistrationRules { policy, first_account_is_operator: first }
    }

    #[test]
    fn each_policy_lets_in_whom_it_says() {
        let user = |by_invite| Ok(Admission { role: Role::User, by_invite });
        for (policy, invite, outcome) in [
            (RegistrationPolicy::Open, false, user(false)),
            (RegistrationPolicy::Open, true, user(false)),
            (RegistrationPolicy::Invite, false, Err(RegisterRefused::InviteRequired)),
            (RegistrationPolicy::Invite, true, user(true)),
            (RegistrationPolicy::Closed, false, Err(RegisterRefused::Closed)),
            (RegistrationPolicy::Closed, true, Err(RegisterRefused::Closed)),
        ] {
            for empty in [false, true] {
                assert_eq!(rules(policy, false).admit(empty, invite), outcome, "{policy:?} {invite}");
            }
            assert_eq!(
                rules(policy, true).admit(false, invite),
                outcome,
                "the second account is like any other"
            );
        }
    }

    #[test]
    fn the_first_account_is_operator_only_where_that_is_asked_for() {
        let closed = rules(RegistrationPolicy::Closed, true);
        assert_eq!(closed.admit(true, false), Ok(Admission { role: Role::Operator, by_invite: false }));
        assert_eq!(RegistrationRules::default().admit(true, false), Err(RegisterRefused::InviteRequired));
    }

    #[test]
    fn an_operator_may_all_that_a_user_may() {
        assert!(Role::Operator > Role::User);
    }
}
