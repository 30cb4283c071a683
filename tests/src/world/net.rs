//! The network: delays, losses, repeats and breaks, all out of the world's seed.
//!
//! Requests and their answers keep their order on one connection, as on a stream. Pushes may overtake, be
//! overtaken and come twice: a client has to cope with that by the sequences alone.

use super::Who;
use super::relay::ConnectionId;
use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;
use sotto_protocol::ids::UnixMillis;
use std::collections::BTreeMap;

/// How bad the network is; chances are of a thousand.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// A frame takes from this
    pub delay_min_ms: u64,
    /// to this long.
    pub delay_max_ms: u64,
    /// A request or answer is lost.
    pub loss: u64,
    /// A push comes twice.
    pub repeat: u64,
    /// A push is late, so that others overtake it.
    pub late: u64,
    /// Carrying a frame breaks the connection, with everything that is under way on it.
    pub breaks: u64,
}

impl Profile {
    /// Nothing goes wrong.
    pub const CALM: Self = Self { delay_min_ms: 1, delay_max_ms: 20, loss: 0, repeat: 0, late: 0, breaks: 0 };

    /// Everything goes wrong now and then.
    pub const WILD: Self =
        Self { delay_min_ms: 1, delay_max_ms: 120, loss: 5, repeat: 60, late: 120, breaks: 8 };
}

/// Something that happens at a time.
#[derive(Debug)]
pub enum Happening {
    /// A device connects.
    Dial(Who),
    /// A frame reaches the relay.
    ToRelay(ConnectionId, Bytes),
    /// A frame reaches a device.
    ToDevice(ConnectionId, Bytes),
    /// A connection breaks.
    Break(ConnectionId),
}

/// What is under way.
pub struct Network {
    profile: Profile,
    queue: BTreeMap<(UnixMillis, u64), Happening>,
    count: u64,
    /// When the last ordered frame of a connection arrives, each way.
    lanes: BTreeMap<(ConnectionId, bool), UnixMillis>,
}

impl Network {
    /// A network of this kind.
    #[must_use]
    pub const fn new(profile: Profile) -> Self {
        Self { profile, queue: BTreeMap::new(), count: 0, lanes: BTreeMap::new() }
    }

    /// Makes it better or worse from now on.
    pub const fn set_profile(&mut self, profile: Profile) {
        self.profile = profile;
    }

    /// Nothing is under way.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.queue.is_empty()
    }

    /// When the next thing happens.
    #[must_use]
    pub fn next_time(&self) -> Option<UnixMillis> {
        self.queue.keys().next().map(|(at, _)| *at)
    }

    /// The next thing that happens.
    pub fn pop(&mut self) -> Option<Happening> {
        self.queue.pop_first().map(|(_, happening)| happening)
    }

    /// What comes next, if it is a frame to the device of this connection, until then at the latest; and when.
    pub fn pop_frame(&mut self, connection: ConnectionId, until: UnixMillis) -> Option<(UnixMillis, Bytes)> {
        let next = self.queue.first_entry()?;
        let at = next.key().0;
        match next.get() {
            Happening::ToDevice(to, _) if *to == connection && at <= until => {}
            _ => return None,
        }
        match next.remove() {
            Happening::ToDevice(_, bytes) => Some((at, bytes)),
            _ => None,
        }
    }

    /// Lets something happen.
    pub fn push(&mut self, at: UnixMillis, happening: Happening) {
        self.count += 1;
        self.queue.insert((at, self.count), happening);
    }

    /// A connection begins.
    pub fn open(&mut self, _rng: &mut ChaCha20Rng, now: UnixMillis, connection: ConnectionId) {
        self.lanes.insert((connection, true), now);
        self.lanes.insert((connection, false), now);
    }

    /// A connection is gone, and what was under way on it.
    pub fn forget(&mut self, connection: ConnectionId) {
        self.lanes.remove(&(connection, true));
        self.lanes.remove(&(connection, false));
        self.queue.retain(|_, happening| match happening {
            Happening::ToRelay(of, _) | Happening::ToDevice(of, _) | Happening::Break(of) => {
                *of != connection
            }
            Happening::Dial(_) => true,
        });
    }

    /// Carries a frame to the relay.
    pub fn carry_up(
        &mut self,
        rng: &mut ChaCha20Rng,
        now: UnixMillis,
        connection: ConnectionId,
        bytes: Bytes,
    ) {
        let Some(at) = self.ordered(rng, now, connection, true) else { return };
        self.push(at, Happening::ToRelay(connection, bytes));
    }

    /// Carries a frame to a device.
    pub fn carry_down(
        &mut self,
        rng: &mut ChaCha20Rng,
        now: UnixMillis,
        connection: ConnectionId,
        bytes: Bytes,
    ) {
        let is_push = bytes.get(4..8) == Some(&[0; 4]);
        if !is_push {
            let Some(at) = self.ordered(rng, now, connection, false) else { return };
            return self.push(at, Happening::ToDevice(connection, bytes));
        }
        if !self.lanes.contains_key(&(connection, false)) {
            return;
        }
        let late = if chance(rng, self.profile.late) { 10 } else { 1 };
        let at = UnixMillis(now.0 + self.delay(rng) * late);
        if chance(rng, self.profile.repeat) {
            let again = UnixMillis(at.0 + self.delay(rng));
            self.push(again, Happening::ToDevice(connection, bytes.clone()));
        }
        self.push(at, Happening::ToDevice(connection, bytes));
    }

    fn delay(&self, rng: &mut ChaCha20Rng) -> u64 {
        let spread = self.profile.delay_max_ms.saturating_sub(self.profile.delay_min_ms).max(1);
        self.profile.delay_min_ms + rng.next_u64() % spread
    }

    /// When a frame arrives that keeps its place on the connection; `None` if it never does.
    fn ordered(
        &mut self,
        rng: &mut ChaCha20Rng,
        now: UnixMillis,
        connection: ConnectionId,
        up: bool,
    ) -> Option<UnixMillis> {
        let at = UnixMillis(now.0 + self.delay(rng));
        if chance(rng, self.profile.breaks) {
            self.push(at, Happening::Break(connection));
        }
        let lost = chance(rng, self.profile.loss);
        let last = self.lanes.get_mut(&(connection, up))?;
        *last = at.max(*last);
        (!lost).then_some(*last)
    }
}

fn chance(rng: &mut ChaCha20Rng, per_thousand: u64) -> bool {
    rng.next_u64() % 1_000 < per_thousand
}
