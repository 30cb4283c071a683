//! The rate limits of the configuration, each over a table of bounded size.

use crate::config::Rates;
use sha2::{Digest, Sha256};
use sotto_protocol::ids::{AccountId, UnixMillis};
use sotto_signaling_core::rate::{Quota, RateTable, TooOften};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

/// Keys that one table remembers: at most twice this of about 40 bytes, 5 MiB, for each of seven tables.
const KEYS_MAX: usize = 64 * 1024;

struct Limit<K>(Option<Mutex<RateTable<K>>>);

impl<K: Eq + Hash + Clone> Limit<K> {
    fn new(quota: Option<Quota>) -> Self {
        Self(quota.map(|quota| Mutex::new(RateTable::new(quota, KEYS_MAX))))
    }

    fn take(&self, key: &K, now: UnixMillis) -> Result<(), TooOften> {
        match &self.0 {
            // A poisoned table is still a table of numbers.
            Some(table) => table.lock().unwrap_or_else(PoisonError::into_inner).take(key, now),
            None => Ok(()),
        }
    }
}

pub(super) struct RateLimiter {
    requests_per_address: Limit<Ipv6Addr>,
    requests_per_account: Limit<AccountId>,
    chunks_per_address: Limit<Ipv6Addr>,
    chunks_per_account: Limit<AccountId>,
    sign_ins_per_address: Limit<Ipv6Addr>,
    sign_ins_per_name: Limit<[u8; 16]>,
    claims_per_account: Limit<AccountId>,
}

impl RateLimiter {
    pub(super) fn new(rates: &Rates) -> Self {
        Self {
            requests_per_address: Limit::new(rates.requests_per_address),
            requests_per_account: Limit::new(rates.requests_per_account),
            chunks_per_address: Limit::new(rates.chunks_per_address),
            chunks_per_account: Limit::new(rates.chunks_per_account),
            sign_ins_per_address: Limit::new(rates.sign_ins_per_address),
            sign_ins_per_name: Limit::new(rates.sign_ins_per_name),
            claims_per_account: Limit::new(rates.claims_per_account),
        }
    }

    pub(super) fn request_from(&self, from: IpAddr, now: UnixMillis) -> Result<(), TooOften> {
        self.requests_per_address.take(&network(from), now)
    }

    pub(super) fn request_of(&self, account: AccountId, now: UnixMillis) -> Result<(), TooOften> {
        self.requests_per_account.take(&account, now)
    }

    pub(super) fn chunk_from(&self, from: IpAddr, now: UnixMillis) -> Result<(), TooOften> {
        self.chunks_per_address.take(&network(from), now)
    }

    pub(super) fn chunk_of(&self, account: AccountId, now: UnixMillis) -> Result<(), TooOften> {
        self.chunks_per_account.take(&account, now)
    }

    pub(super) fn sign_in_from(&self, from: IpAddr, now: UnixMillis) -> Result<(), TooOften> {
        self.sign_ins_per_address.take(&network(from), now)
    }

    /// Whether or not the name exists: else the limit itself would tell.
    pub(super) fn sign_in_as(&self, name: &str, now: UnixMillis) -> Result<(), TooOften> {
        let mut key = [0; 16];
        let digest = Sha256::digest(name.trim().to_lowercase().as_bytes());
        for (place, byte) in key.iter_mut().zip(digest) {
            *place = byte;
        }
        self.sign_ins_per_name.take(&key, now)
    }

    pub(super) fn claim_by(&self, account: AccountId, now: UnixMillis) -> Result<(), TooOften> {
        self.claims_per_account.take(&account, now)
    }
}

/// What one subscriber has: an IPv4 address, or an IPv6 /64, of which everybody has 2^64 addresses.
fn network(address: IpAddr) -> Ipv6Addr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_subscriber_are_one_key() {
        let network = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("192.0.2.1"), network("::ffff:192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }
}
