//! Who is attached and who follows what; what goes to each of them in one turn is gathered and queued at once.

mod presence;

use super::answers;
use super::inbox::SessionId;
use super::metrics::EngineMetrics;
use super::outbox::Outbox;
use bytes::{Bytes, BytesMut};
use sotto_protocol::body::Extensions;
use sotto_protocol::body::push::{Behind, Ephemeral, WelcomeWaiting};
use sotto_protocol::frame::{self, Body};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Epoch, RequestId, Sequence};
use sotto_protocol::limits::CONVERSATIONS_PER_DEVICE_MAX;
use sotto_relay_core::delivery::{Lane, Push};
use sotto_relay_core::state::Place;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A run up to this size is copied into each receiver's buffer; a larger one is shared. A copy of 2 KiB costs
/// less than another reference count and another chunk for the transport.
const COPY_BYTES_MAX: usize = 2048;

/// The place of a session, valid while it is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Slot(u32);

/// One attached session.
pub(super) struct Attached {
    pub(super) account: AccountId,
    pub(super) device: DeviceId,
    pub(super) outbox: Arc<Outbox>,
    follows: BTreeMap<Place, ConversationId>,
    presence: presence::Wish,
    /// Frames of this turn.
    buffer: BytesMut,
    chunks: Vec<Bytes>,
    /// Bytes queued, as last looked at, with what this turn adds.
    lane: Option<Lane>,
}

/// A run of entries on its way to followers.
pub(super) struct Outgoing<'a> {
    pub(super) place: Place,
    pub(super) conversation: ConversationId,
    pub(super) count: u32,
    pub(super) last: Sequence,
    /// The device that sent all of it, if one did: it knows them.
    pub(super) only_by: Option<DeviceId>,
    pub(super) cores: &'a Bytes,
}

/// See the module.
pub(super) struct Hub {
    slots: Vec<Option<Attached>>,
    free: Vec<Slot>,
    /// Slots that become free at the end of the turn: until then answers to the old session may be under way.
    freed: Vec<Slot>,
    by_id: HashMap<SessionId, Slot>,
    by_device: HashMap<DeviceId, Vec<Slot>>,
    followers: Vec<Vec<Slot>>,
    touched: Vec<Slot>,
    presence: presence::Presence,
    metrics: Arc<EngineMetrics>,
}

impl Hub {
    pub(super) fn new(metrics: Arc<EngineMetrics>) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            freed: Vec::new(),
            by_id: HashMap::new(),
            by_device: HashMap::new(),
            followers: Vec::new(),
            touched: Vec::new(),
            presence: presence::Presence::default(),
            metrics,
        }
    }

    pub(super) fn attach(
        &mut self,
        id: SessionId,
        account: AccountId,
        device: DeviceId,
        outbox: Arc<Outbox>,
    ) {
        let attached = Attached {
            account,
            device,
            outbox,
            follows: BTreeMap::new(),
            presence: presence::Wish::default(),
            buffer: BytesMut::new(),
            chunks: Vec::new(),
            lane: None,
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            Slot(u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 sessions are attached"))
        });
        if let Some(place) = self.slots.get_mut(slot.0 as usize) {
            *place = Some(attached);
        }
        self.by_id.insert(id, slot);
        self.by_device.entry(device).or_default().push(slot);
        self.metrics.sessions.set(self.by_id.len() as u64);
    }

    pub(super) fn detach(&mut self, id: SessionId) {
        let Some(slot) = self.by_id.remove(&id) else { return };
        let Some(attached) = self.slots.get_mut(slot.0 as usize).and_then(Option::take) else { return };
        self.presence.forget(slot, &attached);
        for place in attached.follows.into_keys() {
            remove(self.followers.get_mut(place.0 as usize), slot);
        }
        if let Some(slots) = self.by_device.get_mut(&attached.device) {
            slots.retain(|known| *known != slot);
            if slots.is_empty() {
                self.by_device.remove(&attached.device);
            }
        }
        self.freed.push(slot);
        self.metrics.sessions.set(self.by_id.len() as u64);
    }

    /// How many sessions are attached.
    pub(super) fn count(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn slot(&self, id: SessionId) -> Option<Slot> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Attached> {
        self.slots.get(slot.0 as usize)?.as_ref()
    }

    /// Follows a conversation; `false` if the session follows too many.
    pub(super) fn follow(&mut self, slot: Slot, place: Place, conversation: ConversationId) -> bool {
        let Some(attached) = self.slots.get_mut(slot.0 as usize).and_then(Option::as_mut) else {
            return false;
        };
        if attached.follows.len() >= CONVERSATIONS_PER_DEVICE_MAX && !attached.follows.contains_key(&place) {
            return false;
        }
        if attached.follows.insert(place, conversation).is_none() {
            if self.followers.len() <= place.0 as usize {
                self.followers.resize_with(place.0 as usize + 1, Vec::new);
            }
            if let Some(followers) = self.followers.get_mut(place.0 as usize) {
                followers.push(slot);
            }
            self.show(slot, place, conversation);
        }
        true
    }

    /// Ends what sessions of an account follow in a conversation.
    pub(super) fn unfollow_account(&mut self, place: Place, account: AccountId) {
        self.hide_account(place, account);
        let Some(followers) = self.followers.get_mut(place.0 as usize) else { return };
        followers.retain(|slot| {
            let attached = self.slots.get_mut(slot.0 as usize).and_then(Option::as_mut);
            let stays = attached.as_ref().is_some_and(|attached| attached.account != account);
            if let Some(attached) = attached.filter(|_| !stays) {
                attached.follows.remove(&place);
            }
            stays
        });
    }

    /// The buffer of a session for this turn.
    pub(super) fn buffer(&mut self, slot: Slot) -> Option<&mut BytesMut> {
        let attached = self.slots.get_mut(slot.0 as usize).and_then(Option::as_mut)?;
        attached.touch(slot, &mut self.touched);
        Some(&mut attached.buffer)
    }

    /// Gathers one frame for a session.
    pub(super) fn send<B: Body>(&mut self, slot: Slot, id: RequestId, body: &B) {
        if let Some(buffer) = self.buffer(slot) {
            frame::encode_into(buffer, id, body);
        }
    }

    /// Gathers a run for every follower that needs it and has room; the others fall behind.
    pub(super) fn deliver(&mut self, run: &Outgoing<'_>) {
        let Some(followers) = self.followers.get_mut(run.place.0 as usize) else { return };
        let (mut pushed, mut behind) = (0, 0);
        followers.retain(|slot| {
            let Some(attached) = self.slots.get_mut(slot.0 as usize).and_then(Option::as_mut) else {
                return false;
            };
            if run.only_by == Some(attached.device) {
                return true;
            }
            attached.touch(*slot, &mut self.touched);
            match attached.lane().entries(run.cores.len()) {
                Push::Deliver => {
                    attached.deliver(run);
                    pushed += 1;
                    true
                }
                Push::FallBehind => {
                    let body = Behind {
                        conversation: run.conversation,
                        head: run.last,
                        extensions: Extensions::default(),
                    };
                    frame::encode_into(&mut attached.buffer, RequestId::PUSH, &body);
                    attached.follows.remove(&run.place);
                    behind += 1;
                    false
                }
            }
        });
        self.metrics.pushes.add(pushed);
        self.metrics.behind.add(behind);
    }

    /// Gathers an ephemeral for every follower but the sender, where there is room.
    pub(super) fn ephemeral(&mut self, place: Place, from: Slot, body: &Ephemeral) {
        let Some(followers) = self.followers.get(place.0 as usize) else { return };
        let mut encoded: Option<Bytes> = None;
        let (mut routed, mut dropped) = (0, 0);
        for slot in followers.iter().filter(|slot| **slot != from) {
            let Some(attached) = self.slots.get_mut(slot.0 as usize).and_then(Option::as_mut) else {
                continue;
            };
            let encoded = encoded.get_or_insert_with(|| frame::encode(RequestId::PUSH, body));
            attached.touch(*slot, &mut self.touched);
            if attached.lane().takes_ephemeral(encoded.len()) {
                attached.share(encoded.clone());
                routed += 1;
            } else {
                dropped += 1;
            }
        }
        self.metrics.ephemerals.add(routed);
        self.metrics.ephemerals_dropped.add(dropped);
    }

    /// Gathers the news of a Welcome for every session of the devices it is for.
    pub(super) fn welcome(&mut self, devices: &[DeviceId], conversation: ConversationId, epoch: Epoch) {
        let body = WelcomeWaiting { conversation, epoch, extensions: Extensions::default() };
        for device in devices {
            for slot in self.by_device.get(device).cloned().unwrap_or_default() {
                self.send(slot, RequestId::PUSH, &body);
            }
        }
    }

    /// Queues what was gathered.
    pub(super) fn flush(&mut self) {
        for slot in self.touched.drain(..) {
            let Some(attached) = self.slots.get_mut(slot.0 as usize).and_then(Option::as_mut) else {
                continue;
            };
            attached.lane = None;
            attached.split();
            attached.outbox.push(attached.chunks.drain(..));
        }
        self.free.append(&mut self.freed);
    }

    /// Ends every session.
    pub(super) fn close(&mut self) {
        self.flush();
        for attached in self.slots.iter().flatten() {
            attached.outbox.close();
        }
    }
}

impl Attached {
    fn touch(&mut self, slot: Slot, touched: &mut Vec<Slot>) {
        if self.lane.is_none() {
            self.lane = Some(self.outbox.lane());
            touched.push(slot);
        }
    }

    fn lane(&self) -> Lane {
        let lane = self.lane.unwrap_or_else(|| self.outbox.lane());
        let chunks: usize = self.chunks.iter().map(Bytes::len).sum();
        Lane {
            queued_bytes: lane.queued_bytes.saturating_add(self.buffer.len()).saturating_add(chunks),
            ..lane
        }
    }

    /// Moves what is in the buffer to the chunks.
    fn split(&mut self) {
        if !self.buffer.is_empty() {
            self.chunks.push(self.buffer.split().freeze());
        }
    }

    fn share(&mut self, bytes: Bytes) {
        if bytes.len() <= COPY_BYTES_MAX {
            self.buffer.extend_from_slice(&bytes);
        } else {
            self.split();
            self.chunks.push(bytes);
        }
    }

    fn deliver(&mut self, run: &Outgoing<'_>) {
        answers::delivered_head(&mut self.buffer, run.conversation, run.count, run.cores.len());
        self.share(run.cores.clone());
        self.buffer.extend_from_slice(answers::CLOSE);
    }
}

fn remove(followers: Option<&mut Vec<Slot>>, slot: Slot) {
    if let Some(followers) = followers {
        followers.retain(|known| *known != slot);
    }
}
