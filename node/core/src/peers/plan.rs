//! How two devices behind two NATs meet.
//!
//! A NAT lets a packet in from where one went out to before. So one of the two sends a few small datagrams to every address of the
//! other one, which open its NAT and mean nothing, while the other one dials them all; the first connection that stands is the
//! link. Which of them dials first follows from their ids, since two that dial at the same time end up with two connections. If
//! nothing comes of it they change places: a NAT that gives each destination another port (a symmetric one) can only be left, not entered, so its
//! device has to be the one that dials.
//!
//! ```text
//!                0 ms        40 ms                      800 ms        840 ms             4,000 ms
//! lower id       punch x 10                                           dial               give up
//! higher id                  dial                       punch x 10                       give up
//! ```

use sotto_protocol::ids::DeviceId;

/// Datagrams to each address, so that one that is lost does not matter.
pub const PUNCHES: u32 = 10;

/// How far they are apart.
pub const PUNCH_EVERY_MS: u64 = 30;

/// Who dials waits so long for the other one's first datagram to have opened its NAT.
const DIAL_AFTER_MS: u64 = 40;

/// When they change places as well: an initial packet of QUIC was sent twice by then, and where the network is slow what was begun goes on.
const SWAP_AFTER_MS: u64 = 800;

/// When it is given up.
pub const GIVE_UP_AFTER_MS: u64 = 4_000;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Send [`PUNCHES`] datagrams to every address, [`PUNCH_EVERY_MS`] apart.
    Punch,
    /// Dial every address.
    Dial,
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// When, from the beginning of the meeting.
    pub after_ms: u64,
    /// What.
    pub act: Act,
}

/// What the device `own` does to meet `other`.
#[must_use]
pub fn steps(own: DeviceId, other: DeviceId) -> Vec<Step> {
    let step = |after_ms, act| Step { after_ms, act };
    if own < other {
        vec![step(0, Act::Punch), step(SWAP_AFTER_MS + DIAL_AFTER_MS, Act::Dial)]
    } else {
        vec![step(DIAL_AFTER_MS, Act::Dial), step(SWAP_AFTER_MS, Act::Punch)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn of_any_two_devices_one_dials_at_a_time_after_the_other_ones_first_datagram(a in any::<[u8; 16]>(), b in any::<[u8; 16]>()) {
            prop_assume!(a != b);
            let (a, b) = (DeviceId(a), DeviceId(b));
            let (first, second) = (steps(a, b), steps(b, a));
            let at = |steps: &[Step], act| steps.iter().find(|step| step.act == act).map(|step| step.after_ms).unwrap();
            for (dialler, other) in [(&first, &second), (&second, &first)] {
                prop_assert!(at(other, Act::Punch) < at(dialler, Act::Dial));
            }
            prop_assert!(at(&first, Act::Dial).abs_diff(at(&second, Act::Dial)) >= 500);
            prop_assert!(first.iter().chain(&second).all(|step| step.after_ms + 2_000 < GIVE_UP_AFTER_MS));
        }
    }
}
