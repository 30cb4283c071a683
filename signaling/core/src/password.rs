//! Passwords are stored as Argon2id hashes; an unknown account costs a sign-in the same work as a known one.
//!
//! Hashing takes tens of milliseconds and megabytes on purpose, so it is an ordinary function here and the
//! shell runs a bounded number of them at once, away from its event loop.

use crate::names::Password;
use argon2::{Algorithm, Argon2, Params, Version};
use bincode::{Decode, Encode};
use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const HASH_BYTES: usize = 32;

/// How much work one hash is. The parts are checked by [`PasswordCost::new`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct PasswordCost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// The numbers are outside what Argon2 or this crate allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Argon2 takes 8 KiB x lanes to 1 GiB of memory, 1 to 16 passes and 1 to 16 lanes")]
pub struct BadCost;

impl PasswordCost {
    /// OWASP's first recommendation for Argon2id: 19 MiB, two passes, one lane.
    pub const STANDARD: Self = Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 };

    /// The cheapest that Argon2 can do. For tests: it resists nothing.
    pub const CHEAPEST: Self = Self { memory_kib: 8, passes: 1, lanes: 1 };

    /// A cost that Argon2 accepts.
    ///
    /// # Errors
    /// If a number is out of range.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, BadCost> {
        let least = lanes.checked_mul(8).ok_or(BadCost)?;
        let sound = (1..=16).contains(&lanes)
            && (1..=16).contains(&passes)
            && (least..=1024 * 1024).contains(&memory_kib);
        if sound { Ok(Self { memory_kib, passes, lanes }) } else { Err(BadCost) }
    }
}

/// What is stored of a password.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct PasswordHash {
    cost: PasswordCost,
    salt: [u8; 16],
    hash: [u8; HASH_BYTES],
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

impl PasswordHash {
    /// Hashes a chosen password under a fresh salt.
    #[must_use]
    pub fn new(password: &Password, cost: PasswordCost, rng: &mut impl CryptoRng) -> Self {
        let mut salt = [0; 16];
        rng.fill_bytes(&mut salt);
        Self { cost, salt, hash: *stretch(password, cost, &salt) }
    }

    /// Hashes a chosen password under the salt of `like` where there is one.
    ///
    /// Several accounts may name one e-mail address (see [`crate::account`]). They share a salt, so that a
    /// sign-in by that address is one hash whether none, one or many of them exist.
    #[must_use]
    pub fn beside(
        password: &Password,
        cost: PasswordCost,
        like: Option<&Self>,
        rng: &mut impl CryptoRng,
    ) -> Self {
        match like {
            Some(like) if like.cost == cost => {
                Self { cost, salt: like.salt, hash: *stretch(password, cost, &like.salt) }
            }
            Some(_) | None => Self::new(password, cost, rng),
        }
    }

    /// A hash that no password has, for accounts that do not exist.
    #[must_use]
    pub fn dummy(cost: PasswordCost, rng: &mut impl CryptoRng) -> Self {
        let mut salt = [0; 16];
        let mut hash = [0; HASH_BYTES];
        rng.fill_bytes(&mut salt);
        rng.fill_bytes(&mut hash);
        Self { cost, salt, hash }
    }

    /// Whether it was made at another cost than the relay uses now, so that it is worth making again.
    #[must_use]
    pub fn is_dated(&self, cost: PasswordCost) -> bool {
        self.cost != cost
    }
}

/// Finds the hash that the password has, with one stretch for each different salt among the candidates.
/// Without candidates the work is done on `dummy`, and the answer is `None` like that of a wrong password.
#[must_use]
pub fn find_match(password: &Password, candidates: &[PasswordHash], dummy: &PasswordHash) -> Option<usize> {
    let mut stretched: Vec<(PasswordCost, [u8; 16], Zeroizing<[u8; HASH_BYTES]>)> = Vec::new();
    let mut found = None;
    let padded = if candidates.is_empty() { core::slice::from_ref(dummy) } else { candidates };
    for (place, candidate) in padded.iter().enumerate() {
        let known =
            stretched.iter().position(|(cost, salt, _)| *cost == candidate.cost && *salt == candidate.salt);
        let known = known.unwrap_or_else(|| {
            let hash = stretch(password, candidate.cost, &candidate.salt);
            stretched.push((candidate.cost, candidate.salt, hash));
            stretched.len().saturating_sub(1)
        });
        let same = stretched.get(known).is_some_and(|(_, _, hash)| bool::from(hash.ct_eq(&candidate.hash)));
        if same && found.is_none() {
            found = Some(place);
        }
    }
    found.filter(|_| !candidates.is_empty())
}

fn stretch(password: &Password, cost: PasswordCost, salt: &[u8; 16]) -> Zeroizing<[u8; HASH_BYTES]> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(HASH_BYTES))
        .expect("PasswordCost::new lets only numbers through that Argon2 takes");
    let mut hash = Zeroizing::new([0; HASH_BYTES]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), salt, hash.as_mut())
        .expect("password, salt and output have lengths that Argon2 takes");
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    fn password(text: &str) -> Password {
        Password::present(Zeroizing::new(text.to_owned())).expect("short enough")
    }

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(7)
    }

    #[test]
    fn the_right_password_is_found_and_a_wrong_one_is_not() {
        let mut rng = rng();
        let dummy = PasswordHash::dummy(PasswordCost::CHEAPEST, &mut rng);
        let hash = PasswordHash::new(&password("correct horse"), PasswordCost::CHEAPEST, &mut rng);
        let rows = [hash];
        assert_eq!(find_match(&password("correct horse"), &rows, &dummy), Some(0));
        assert_eq!(find_match(&password("correct hors"), &rows, &dummy), None);
        assert_eq!(find_match(&password("correct horse"), &[], &dummy), None);
    }

    #[test]
    fn accounts_of_one_address_share_a_salt_and_each_is_found_by_its_own_password() {
        let mut rng = rng();
        let cost = PasswordCost::CHEAPEST;
        let dummy = PasswordHash::dummy(cost, &mut rng);
        let first = PasswordHash::beside(&password("first password"), cost, None, &mut rng);
        let second = PasswordHash::beside(&password("second password"), cost, Some(&first), &mut rng);
        assert_eq!(first.salt, second.salt);
        let rows = [first, second];
        assert_eq!(find_match(&password("first password"), &rows, &dummy), Some(0));
        assert_eq!(find_match(&password("second password"), &rows, &dummy), Some(1));
        assert_eq!(find_match(&password("third password"), &rows, &dummy), None);
    }

    #[test]
    fn a_hash_keeps_its_own_cost_when_the_relay_raises_its() {
        let mut rng = rng();
        let old = PasswordHash::new(&password("correct horse"), PasswordCost::CHEAPEST, &mut rng);
        let now = PasswordCost::new(16, 2, 1).expect("a small cost");
        assert!(old.is_dated(now));
        let dummy = PasswordHash::dummy(now, &mut rng);
        assert_eq!(find_match(&password("correct horse"), &[old], &dummy), Some(0));
    }

    #[test]
    fn costs_outside_the_range_are_refused() {
        for (memory, passes, lanes) in
            [(0, 1, 1), (8, 0, 1), (8, 1, 0), (8, 1, 2), (u32::MAX, 1, 1), (8, 99, 1)]
        {
            assert_eq!(PasswordCost::new(memory, passes, lanes), Err(BadCost));
        }
    }

    #[test]
    fn the_dummy_matches_no_password() {
        let mut rng = rng();
        let dummy = PasswordHash::dummy(PasswordCost::CHEAPEST, &mut rng);
        assert_eq!(find_match(&password(""), &[], &dummy), None);
    }
}
