//! Invites: one-time codes that let somebody register, join a conversation, or both.
//!
//! A code is stored only as its hash. An account that redeems the same code twice gets the same answer again
//! and uses it up once, so that a lost answer costs nothing.

use crate::limits::{INVITE_SECONDS_DEFAULT, INVITE_SECONDS_MAX, INVITE_USES_MAX, MS};
use bincode::{Decode, Encode};
use core::fmt;
use core::str::FromStr;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use sotto_protocol::ids::{AccountId, BadId, ConversationId, UnixMillis};

/// What names an invite without being its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct InviteId(pub [u8; 16]);

impl fmt::Display for InviteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl FromStr for InviteId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|_| BadId)?;
        Ok(Self(bytes.try_into().map_err(|_| BadId)?))
    }
}

/// An invite, as the relay stores it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Invite {
    /// Drawn by the relay.
    pub id: InviteId,
    /// Who made it; `None` for one that the operator made from the command line.
    pub by: Option<AccountId>,
    /// The conversation that redeeming it admits to.
    pub conversation: Option<ConversationId>,
    /// Whether it lets somebody register where an invite is needed for that.
    pub registers: bool,
    /// How many more accounts may redeem it.
    pub uses_left: u32,
    /// When it was made.
    pub created: UnixMillis,
    /// When it ends.
    pub expires: UnixMillis,
}

/// What somebody asks for when making an invite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InviteWish {
    /// The conversation that it admits to.
    pub conversation: Option<ConversationId>,
    /// How many may redeem it; one if not said.
    pub uses: Option<u32>,
    /// How long it lives, in seconds; [`INVITE_SECONDS_DEFAULT`] if not said.
    pub expires_in: Option<u64>,
}

/// Who makes an invite, and what that is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maker {
    /// The account; `None` for the operator at the command line.
    pub by: Option<AccountId>,
    /// Whether invites of this maker let people register.
    pub registers: bool,
}

/// A wish outside the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadInviteWish {
    /// Too many, or none.
    #[error("an invite has 1 to {INVITE_USES_MAX} uses")]
    Uses,
    /// Too long, or over at once.
    #[error("an invite lives 1 to {INVITE_SECONDS_MAX} seconds")]
    Lifetime,
}

/// Why a code is not taken. One answer for all reasons: a stranger with a code learns nothing from which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this invite is unknown, used up or expired; ask for a new one")]
pub struct RedeemRefused;

impl InviteWish {
    /// The invite that fulfils the wish of `maker`.
    ///
    /// # Errors
    /// If the wish is outside the limits.
    pub fn grant(self, id: InviteId, maker: Maker, now: UnixMillis) -> Result<Invite, BadInviteWish> {
        let uses_left = self.uses.unwrap_or(1);
        if !(1..=INVITE_USES_MAX).contains(&uses_left) {
            return Err(BadInviteWish::Uses);
        }
        let seconds = self.expires_in.unwrap_or(INVITE_SECONDS_DEFAULT);
        if !(1..=INVITE_SECONDS_MAX).contains(&seconds) {
            return Err(BadInviteWish::Lifetime);
        }
        let expires = UnixMillis(now.0.saturating_add(seconds.saturating_mul(MS)));
        let Maker { by, registers } = maker;
        Ok(Invite { id, by, conversation: self.conversation, registers, uses_left, created: now, expires })
    }
}

impl Invite {
    /// Whether it is over. One that is used up lives until then, for accounts that redeem it again.
    #[must_use]
    pub fn has_expired(&self, now: UnixMillis) -> bool {
        now >= self.expires
    }

    /// The invite after one more account redeemed it.
    ///
    /// # Errors
    /// If it is over or used up.
    pub fn redeem(mut self, now: UnixMillis) -> Result<Self, RedeemRefused> {
        if self.has_expired(now) {
            return Err(RedeemRefused);
        }
        self.uses_left = self.uses_left.checked_sub(1).ok_or(RedeemRefused)?;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(5_000);
    const MAKER: Maker = Maker { by: None, registers: true };

    fn invite(uses: u32, seconds: u64) -> Result<Invite, BadInviteWish> {
        let wish = InviteWish { conversation: None, uses: Some(uses), expires_in: Some(seconds) };
        wish.grant(InviteId([1; 16]), MAKER, NOW)
    }

    #[test]
    fn an_invite_is_used_up_by_its_uses() {
        let twice = invite(2, 60).expect("within the limits");
        let none = twice.redeem(NOW).and_then(|invite| invite.redeem(NOW)).expect("two uses");
        assert_eq!(none.redeem(NOW), Err(RedeemRefused));
    }

    #[test]
    fn an_invite_ends_when_it_said() {
        let minute = invite(2, 60).expect("within the limits");
        assert!(minute.clone().redeem(UnixMillis(64_999)).is_ok());
        assert_eq!(minute.redeem(UnixMillis(65_000)), Err(RedeemRefused));
    }

    #[test]
    fn wishes_outside_the_limits_are_refused() {
        assert_eq!(invite(0, 60), Err(BadInviteWish::Uses));
        assert_eq!(invite(INVITE_USES_MAX + 1, 60), Err(BadInviteWish::Uses));
        assert_eq!(invite(1, 0), Err(BadInviteWish::Lifetime));
        assert_eq!(invite(1, u64::MAX), Err(BadInviteWish::Lifetime));
        let plain = InviteWish::default().grant(InviteId([1; 16]), MAKER, NOW).expect("the defaults");
        assert_eq!(plain.uses_left, 1);
    }
}
