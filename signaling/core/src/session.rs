//! Sessions: families of refresh tokens, each good for one use.
//!
//! A refresh answers with a new token and spends the one that was shown. When a *spent* token is shown, two
//! parties hold tokens of one family and one of them is a thief: the family is revoked and both sign in again.
//!
//! One exception, for an answer that was lost on the way: the token *just before* the current one is answered
//! again for [`REFRESH_GRACE_SECONDS`], with another new token in place of the current one. This hides no
//! theft. Whoever of the two comes second with what he got before the other's refresh shows a token that is
//! neither current nor the one before, and the family is revoked then, exactly as without the grace.

use crate::limits::{MS, REFRESH_GRACE_SECONDS, SESSION_IDLE_SECONDS};
use crate::names::Label;
use crate::secret::{RefreshHashes, SecretHash};
use bincode::{Decode, Encode};
use sotto_protocol::ids::{AccountId, DeviceId, SessionId, UnixMillis};

/// One sign-in of an account, as the relay stores it. A revoked session has no row.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Session {
    /// Drawn by the relay.
    pub id: SessionId,
    /// Whose.
    pub account: AccountId,
    /// The device that uses it, once one said so; removing the device ends the session.
    pub device: Option<DeviceId>,
    /// What the client program calls itself.
    pub agent: Label,
    /// When the sign-in was.
    pub created: UnixMillis,
    /// When it was last refreshed.
    pub used: UnixMillis,
    /// When it ends unless it is refreshed.
    pub expires: UnixMillis,
    /// The secret that all tokens of the family share.
    pub family: SecretHash,
    /// The token that is due next.
    pub current: SecretHash,
    /// The token before it, and when it was spent.
    pub previous: Option<(SecretHash, UnixMillis)>,
}

/// What a shown refresh token means for its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Current: rotate.
    Rotate,
    /// The one before, so soon that the answer may have been lost: rotate again.
    RotateAgain,
    /// A spent token of this family: revoke the session.
    Reused,
    /// The session was not used for too long: revoke it too.
    Expired,
    /// Not a token of this family: leave the session alone.
    Foreign,
}

/// How a session starts; see [`Session::open`].
#[derive(Debug, Clone)]
pub struct Opening {
    /// Drawn by the relay.
    pub id: SessionId,
    /// Whose.
    pub account: AccountId,
    /// What the client program calls itself.
    pub agent: Label,
    /// Of its first refresh token.
    pub hashes: RefreshHashes,
}

impl Session {
    /// A new session.
    #[must_use]
    pub fn open(opening: Opening, now: UnixMillis) -> Self {
        let Opening { id, account, agent, hashes } = opening;
        Self {
            id,
            account,
            device: None,
            agent,
            created: now,
            used: now,
            expires: idle_end(now),
            family: hashes.family,
            current: hashes.token,
            previous: None,
        }
    }

    /// Whether it is over.
    #[must_use]
    pub fn has_expired(&self, now: UnixMillis) -> bool {
        now >= self.expires
    }

    /// Judges a refresh token that names this session.
    #[must_use]
    pub fn judge(&self, shown: &RefreshHashes, now: UnixMillis) -> Verdict {
        if shown.family != self.family {
            return Verdict::Foreign;
        }
        if self.has_expired(now) {
            return Verdict::Expired;
        }
        if shown.token == self.current {
            return Verdict::Rotate;
        }
        match self.previous {
            Some((token, spent)) if token == shown.token && within_grace(spent, now) => Verdict::RotateAgain,
            Some(_) | None => Verdict::Reused,
        }
    }

    /// The session after a refresh that `verdict` allowed.
    #[must_use]
    pub fn rotated(mut self, verdict: Verdict, next: SecretHash, now: UnixMillis) -> Self {
        // A repeated refresh keeps the time of the first one, so that the grace does not renew itself.
        if verdict == Verdict::Rotate {
            self.previous = Some((self.current, now));
        }
        self.current = next;
        self.used = now;
        self.expires = idle_end(now);
        self
    }
}

const fn idle_end(now: UnixMillis) -> UnixMillis {
    UnixMillis(now.0.saturating_add(SESSION_IDLE_SECONDS * MS))
}

const fn within_grace(spent: UnixMillis, now: UnixMillis) -> bool {
    now.0.saturating_sub(spent.0) < REFRESH_GRACE_SECONDS * MS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::RefreshToken;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    const START: UnixMillis = UnixMillis(1_000_000);

    struct World {
        rng: ChaCha20Rng,
        session: Session,
        first: RefreshToken,
    }

    fn start() -> World {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let first = RefreshToken::first(SessionId([1; 16]), &mut rng);
        let opening = Opening {
            id: SessionId([1; 16]),
            account: AccountId([2; 16]),
            agent: Label::lossy("test"),
            hashes: first.hashes(),
        };
        World { rng, session: Session::open(opening, START), first }
    }

    impl World {
        /// Refreshes with `shown`; the new token when it was allowed.
        fn refresh(&mut self, shown: &RefreshToken, seconds: u64) -> Result<RefreshToken, Verdict> {
            let now = UnixMillis(START.0 + seconds * MS);
            let verdict = self.session.judge(&shown.hashes(), now);
            if !matches!(verdict, Verdict::Rotate | Verdict::RotateAgain) {
                return Err(verdict);
            }
            let next = shown.next(&mut self.rng);
            self.session = self.session.clone().rotated(verdict, next.hashes().token, now);
            Ok(next)
        }
    }

    fn copy(token: &RefreshToken) -> RefreshToken {
        RefreshToken::parse(&token.to_text()).expect("our own token")
    }

    #[test]
    fn a_spent_token_is_a_theft_once_the_grace_is_over() {
        let mut world = start();
        let first = copy(&world.first);
        let second = world.refresh(&first, 10).expect("the current token");
        assert_eq!(world.refresh(&first, 10 + REFRESH_GRACE_SECONDS).err(), Some(Verdict::Reused));
        assert!(world.refresh(&second, 100).is_ok());
    }

    #[test]
    fn a_lost_answer_is_repeated_and_the_grace_does_not_renew_itself() {
        let mut world = start();
        let first = copy(&world.first);
        let _lost = world.refresh(&first, 10).expect("the current token");
        let _lost = world.refresh(&first, 40).expect("within the grace of the first refresh");
        assert_eq!(world.refresh(&first, 75).err(), Some(Verdict::Reused));
    }

    #[test]
    fn a_thief_within_the_grace_is_found_out_by_the_next_refresh_of_either() {
        // The owner refreshes, the thief follows with a copy of the old token.
        let mut world = start();
        let stolen = copy(&world.first);
        let owner = world.refresh(&copy(&stolen), 1).expect("the owner");
        let thief = world.refresh(&stolen, 2).expect("the thief, within the grace");
        assert_eq!(world.refresh(&owner, 900).err(), Some(Verdict::Reused), "the owner's token is neither");
        drop(thief);
        // The thief comes first, the owner second.
        let mut world = start();
        let stolen = copy(&world.first);
        let thief = world.refresh(&copy(&stolen), 1).expect("the thief");
        let _owner = world.refresh(&stolen, 2).expect("the owner, within the grace");
        assert_eq!(world.refresh(&thief, 900).err(), Some(Verdict::Reused));
    }

    #[test]
    fn the_grace_covers_only_the_token_before_the_current_one() {
        let mut world = start();
        let first = copy(&world.first);
        let second = world.refresh(&first, 1).expect("current");
        let _third = world.refresh(&second, 2).expect("current");
        assert_eq!(world.refresh(&first, 3).err(), Some(Verdict::Reused));
    }

    #[test]
    fn bytes_made_up_around_a_known_session_do_not_revoke_it() {
        let mut world = start();
        let made_up = RefreshToken::first(SessionId([1; 16]), &mut world.rng);
        assert_eq!(world.refresh(&made_up, 1).err(), Some(Verdict::Foreign));
    }

    #[test]
    fn an_unused_session_expires_and_a_used_one_lives_on() {
        let mut world = start();
        let first = copy(&world.first);
        let second = world.refresh(&first, SESSION_IDLE_SECONDS - 1).expect("just in time");
        let third = world.refresh(&second, 2 * SESSION_IDLE_SECONDS - 2).expect("just in time");
        assert_eq!(world.refresh(&third, 3 * SESSION_IDLE_SECONDS).err(), Some(Verdict::Expired));
    }
}
