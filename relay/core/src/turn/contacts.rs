//! The peers of one allocation: how many it may have, so that their list stays short.

use core::net::SocketAddr;
use sotto_protocol::ids::UnixMillis;
use std::collections::HashMap;

/// Permissions and channels of one allocation at a time. A call has a handful of addresses of each of its people.
pub const CONTACTS_MAX: usize = 256;

/// The longer of both lifetimes: a channel's (RFC 8656, 12).
const LIFETIME_MS: u64 = 600_000;

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Contacts(HashMap<SocketAddr, UnixMillis>);

impl Contacts {
    /// Notes a peer (for a permission, with port 0); whether there is room for it.
    pub fn note(&mut self, peer: SocketAddr, now: UnixMillis) -> bool {
        if self.0.len() >= CONTACTS_MAX && !self.0.contains_key(&peer) {
            self.0.retain(|_, noted| now.0.saturating_sub(noted.0) <= LIFETIME_MS);
            if self.0.len() >= CONTACTS_MAX {
                return false;
            }
        }
        self.0.insert(peer, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_list_takes_who_is_on_it_and_makes_room_when_others_have_lapsed() {
        let mut contacts = Contacts::default();
        let peer = |number: usize| SocketAddr::from(([8, 8, 8, 8], u16::try_from(number).unwrap()));
        for number in 0..CONTACTS_MAX {
            assert!(contacts.note(peer(number), UnixMillis(number as u64)));
        }
        let later = UnixMillis(1_000);
        assert!(!contacts.note(peer(CONTACTS_MAX), later));
        assert!(contacts.note(peer(7), later));
        assert!(contacts.note(peer(CONTACTS_MAX), UnixMillis(LIFETIME_MS + 500)));
        assert_eq!(contacts.0.len(), 2);
    }
}
