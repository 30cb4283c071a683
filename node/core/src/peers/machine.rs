//! The state of all questions and offers of a device. Inputs go in with the time; what is to be said or done comes out.

use super::channels::{Channel, KEPT_MS, Speaker};
use super::{Asked, Meeting, PeerEvent, Reach, SOURCES_MAX, Way, addresses, plan};
use crate::calls::guard::Bucket;
use crate::event::{Failure, FailureCode};
use rand_core::CryptoRng;
use sotto_e2ee::content::peer::{Carriers, PeerSignal, PeerWord};
use sotto_protocol::blob::BlobRoot;
use sotto_protocol::ids::{AccountId, AskId, ConversationId, DeviceId, LinkId, UnixMillis};
use std::collections::VecDeque;

/// Files that one device takes at a time.
pub(super) const ASKS_MAX: usize = 8;

/// How often a question is said while the file is on its way: for devices that come later, and for words that were lost.
pub(super) const ASK_EVERY_MS: u64 = 5_000;

/// The second time: those who began to get the file at the same moment have something of it by then.
pub(super) const ASK_AGAIN_MS: u64 = 1_000;

/// Questions of others that wait for their moment, and offers that wait for their answer.
pub(super) const WAITING_MAX: usize = 32;

/// Questions that are remembered so that each device is answered once in a while.
const ANSWERED_MAX: usize = 256;

/// An offer that is not taken up for so long is forgotten; the way there and back takes a second at worst.
pub(super) const OFFER_MS: u64 = 10_000;

/// The same question of the same device is answered again after this.
const AGAIN_AFTER_MS: u64 = 4_000;

/// In a crowd not all answer at once: each member that there is gives up to so much more time, up to two seconds in all.
const SPREAD_MS_PER_MEMBER: u64 = 10;
const SPREAD_MS_MAX: u64 = 2_000;

/// Members that answer at once; with few there is no crowd.
const CROWD_FROM: usize = 8;

/// A browser has no socket for such links: there that part is left out of what is downloaded.
const QUIC: bool = !cfg!(target_family = "wasm");

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// Say this in a conversation.
    Send(ConversationId, PeerSignal),
    /// Tell the shell.
    Tell(PeerEvent),
}

/// A word with what was checked about it.
pub(crate) struct Heard {
    pub(crate) conversation: ConversationId,
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) signal: PeerSignal,
    /// Of a question: this device kept the file under its root.
    pub(crate) is_kept: bool,
    /// Leaves of the conversation.
    pub(crate) members: usize,
}

/// A question of this device.
pub(super) struct Ask {
    id: AskId,
    pub(super) conversation: ConversationId,
    root: BlobRoot,
    again: UnixMillis,
    was_said: bool,
    /// Some of it is here, for others who want it.
    has_some: bool,
    /// It may come by way of what the relay lends.
    routed: bool,
    /// Who answered, and the link that came of it.
    pub(super) sources: Vec<DeviceId>,
}

/// A question of another device that is answered in a moment, unless enough others do.
struct Pending {
    asked: Asked,
    due: UnixMillis,
    answers: usize,
}

/// An answer to another device.
struct Offer {
    link: LinkId,
    conversation: ConversationId,
    to: DeviceId,
    until: UnixMillis,
}

/// Everything about links on one device.
pub(crate) struct Peers {
    me: DeviceId,
    relay_only: bool,
    serves: bool,
    pub(super) reach: Option<Reach>,
    // Lists, since they are short and a browser downloads this.
    asks: Vec<Ask>,
    pending: Vec<Pending>,
    offers: Vec<Offer>,
    answered: VecDeque<(Question, UnixMillis)>,
    incoming: Bucket,
    /// Files that a shell which makes channels has.
    pub(super) held: Vec<(ConversationId, BlobRoot)>,
    pub(super) channels: Vec<Channel>,
    pub(super) acts: Vec<Act>,
}

pub(super) const fn after(now: UnixMillis, ms: u64) -> UnixMillis {
    UnixMillis(now.0.saturating_add(ms))
}

/// A question, and whether it is answered by a channel, which the relay may route; else it is over QUIC. It is another one once it may be routed.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Question {
    ask: AskId,
    channel: bool,
    routed: bool,
}

/// How a question is answered here; `None` for one that is answered by others.
fn answers(reach: &Reach, word: &PeerWord) -> Option<(Question, BlobRoot)> {
    let has_quic = QUIC && matches!(reach, Reach::Both(_));
    let over_quic = |ask| Question { ask, channel: false, routed: false };
    match *word {
        PeerWord::Wanted { ask, root } if has_quic => Some((over_quic(ask), root)),
        PeerWord::Sought { ask, root, carriers } if has_quic && carriers.has(Carriers::QUIC) => {
            Some((over_quic(ask), root))
        }
        PeerWord::Sought { ask, root, carriers } if carriers.has(Carriers::CHANNEL) => {
            let routed = carriers.has(Carriers::ROUTED);
            (routed || *reach != Reach::Routed).then_some((Question { ask, channel: true, routed }, root))
        }
        _ => None,
    }
}

impl Peers {
    pub(crate) fn new(me: DeviceId, relay_only: bool, now: UnixMillis) -> Self {
        Self {
            me,
            relay_only,
            serves: false,
            reach: None,
            asks: Vec::new(),
            pending: Vec::new(),
            offers: Vec::new(),
            answered: VecDeque::new(),
            // Ten at once and two a second: a member with many files to get, not a flood.
            incoming: Bucket::new(10, 2, now),
            held: Vec::new(),
            channels: Vec::new(),
            acts: Vec::new(),
        }
    }

    pub(crate) fn take_acts(&mut self) -> Vec<Act> {
        std::mem::take(&mut self.acts)
    }

    pub(crate) const fn is_relay_only(&self) -> bool {
        self.relay_only
    }

    /// Forgets where it is before anything else is said.
    pub(super) fn set_relay_only(&mut self, relay_only: bool) {
        self.relay_only = relay_only;
        if relay_only {
            self.channels.clear();
            self.network(None, UnixMillis(0));
        }
    }

    pub(super) const fn serve(&mut self) {
        self.serves = true;
    }

    /// By what this device may be reached from now on. A channel outlives the relay's connection.
    pub(crate) fn network(&mut self, reach: Option<Reach>, now: UnixMillis) {
        self.reach = reach.filter(|_| !self.relay_only);
        if self.reach.is_none() {
            self.pending.clear();
            self.offers.clear();
            return;
        }
        for ask in &mut self.asks {
            ask.again = now;
        }
        self.say_what_is_due(now);
    }

    fn ask(&mut self, id: AskId) -> Option<&mut Ask> {
        self.asks.iter_mut().find(|ask| ask.id == id)
    }

    /// A device answers a question of this one. True if it becomes one of those that give.
    pub(super) fn takes_from(&mut self, ask: AskId, of: ConversationId, device: DeviceId) -> bool {
        let Some(ask) = self.ask(ask).filter(|ask| ask.conversation == of) else { return false };
        let is_taken = ask.sources.len() < SOURCES_MAX && !ask.sources.contains(&device);
        if is_taken {
            ask.sources.push(device);
        }
        is_taken
    }

    /// A file is wanted. Where no link can come about, nobody is asked until one can.
    pub(super) fn want(
        &mut self,
        ask: AskId,
        conversation: ConversationId,
        root: BlobRoot,
        now: UnixMillis,
    ) -> Result<(), Failure> {
        if let Some(known) = self.ask(ask) {
            known.again = now;
            self.say_what_is_due(now);
            return Ok(());
        }
        if self.asks.len() >= ASKS_MAX {
            let text = "as many files as this device asks its peers for at a time are on their way already";
            return Err(Failure::new(FailureCode::Invalid, text));
        }
        let (id, sources, again) = (ask, Vec::new(), now);
        let (was_said, has_some, routed) = (false, false, false);
        self.asks.push(Ask { id, conversation, root, again, was_said, has_some, routed, sources });
        self.say_what_is_due(now);
        Ok(())
    }

    /// Some of what is wanted is here.
    pub(super) fn has_some(&mut self, ask: AskId) {
        if let Some(ask) = self.ask(ask) {
            ask.has_some = true;
        }
    }

    /// What is wanted may come by way of what the relay lends: that is asked at once.
    pub(super) fn route(&mut self, ask: AskId, now: UnixMillis) {
        let Some(ask) = self.ask(ask) else { return };
        (ask.routed, ask.again) = (true, now);
        self.say_what_is_due(now);
    }

    /// Whether a file that is on its way here may be had from here.
    fn has_some_of(&self, of: ConversationId, root: BlobRoot) -> bool {
        self.asks.iter().any(|ask| ask.has_some && ask.conversation == of && ask.root == root)
    }

    pub(super) fn end_want(&mut self, ask: AskId) {
        self.asks.retain(|one| one.id != ask);
    }

    pub(super) fn lost(&mut self, ask: AskId, device: DeviceId) {
        if let Some(ask) = self.ask(ask) {
            ask.sources.retain(|source| *source != device);
        }
    }

    /// Whether this device gives what its shell says that it has.
    pub(super) const fn serves(&self) -> bool {
        QUIC && self.serves
    }

    /// The shell has the file that was asked for.
    pub(super) fn offer(&mut self, asked: Asked, now: UnixMillis, rng: &mut dyn CryptoRng) {
        let gives = self.serves() || self.has_some_of(asked.conversation, asked.root);
        let is_room = QUIC && gives && self.offers.len() < WAITING_MAX;
        let Some(Reach::Both(way)) = self.reach.clone().filter(|_| is_room) else { return };
        let mut link = [0; 16];
        rng.fill_bytes(&mut link);
        let link = LinkId(link);
        let Asked { ask, conversation, by, .. } = asked;
        self.offers.push(Offer { link, conversation, to: by, until: after(now, OFFER_MS) });
        self.say(conversation, Some(by), PeerWord::Have { ask, link, way });
    }

    /// A member said something.
    pub(crate) fn heard(&mut self, heard: Heard, now: UnixMillis, rng: &mut dyn CryptoRng) {
        let Heard { conversation, account, device, signal, is_kept, members } = heard;
        let Some(reach) = self.reach.clone().filter(|_| device != self.me) else { return };
        if let Some((Question { ask, channel, routed }, root)) = answers(&reach, &signal.word) {
            let is_here = is_kept && self.serves || self.holds(conversation, root);
            // Who takes a channel asks for any piece, and not first which are here.
            if is_here || !channel && self.has_some_of(conversation, root) {
                let asked = Asked { ask, conversation, root, by: device, channel, routed };
                self.wanted(asked, members, now, rng);
            }
            return;
        }
        let is_for_me = signal.to == Some(self.me);
        let from = Speaker { conversation, account, device };
        match (signal.word, reach) {
            // Others answer too, and enough are enough.
            (PeerWord::Have { ask, .. } | PeerWord::Offer { ask, round: 0, .. }, _) if !is_for_me => {
                let of_this = self
                    .pending
                    .iter_mut()
                    .filter(|pending| pending.asked.ask == ask && pending.asked.conversation == conversation);
                of_this.for_each(|pending| pending.answers += 1);
            }
            _ if !is_for_me => {}
            (PeerWord::Have { ask, link, way }, Reach::Both(own)) if QUIC => {
                if !self.takes_from(ask, conversation, device) {
                    return;
                }
                self.say(conversation, Some(device), PeerWord::Meet { link, way: own.clone() });
                self.meet(link, conversation, Some(ask), (account, device), (&own, &way));
            }
            (PeerWord::Meet { link, way }, Reach::Both(own)) if QUIC => {
                let is_taken_up = |offer: &Offer| {
                    (offer.link, offer.conversation, offer.to) == (link, conversation, device)
                };
                if let Some(place) = self.offers.iter().position(is_taken_up) {
                    self.offers.swap_remove(place);
                    self.meet(link, conversation, None, (account, device), (&own, &way));
                }
            }
            (PeerWord::Offer { ask, link, round, sdp }, _) => {
                self.offered(from, (ask, link), (round, sdp), now);
            }
            (PeerWord::Answer { link, round, sdp }, _) => {
                self.answered(from, link, (round, sdp), now);
            }
            (PeerWord::Candidates { link, round, list }, _) => {
                self.found(from, link, round, list);
            }
            _ => {}
        }
    }

    fn wanted(&mut self, asked: Asked, members: usize, now: UnixMillis, rng: &mut dyn CryptoRng) {
        let recently = |at: UnixMillis| now.0.saturating_sub(at.0) < AGAIN_AFTER_MS;
        let Asked { ask, channel, routed, .. } = asked;
        let question = Question { ask, channel, routed };
        let is_repeat = self.answered.iter().any(|(one, at)| *one == question && recently(*at));
        if is_repeat || self.pending.len() >= WAITING_MAX || !self.incoming.take(now) {
            return;
        }
        self.answered.retain(|(one, _)| *one != question);
        if self.answered.len() >= ANSWERED_MAX {
            self.answered.pop_front();
        }
        self.answered.push_back((question, now));
        let crowd = u64::try_from(members.saturating_sub(CROWD_FROM)).unwrap_or(u64::MAX);
        let spread = crowd.saturating_mul(SPREAD_MS_PER_MEMBER).min(SPREAD_MS_MAX);
        let wait = if spread == 0 { 0 } else { rng.next_u64() % spread };
        self.pending.push(Pending { asked, due: after(now, wait), answers: 0 });
        self.on_time(now);
    }

    fn meet(
        &mut self,
        link: LinkId,
        conversation: ConversationId,
        ask: Option<AskId>,
        (account, device): (AccountId, DeviceId),
        (own, theirs): (&Way, &Way),
    ) {
        let meeting = Meeting {
            link,
            conversation,
            ask,
            account,
            device,
            fingerprint: theirs.fingerprint,
            addresses: addresses::to_try(&theirs.addresses, &own.addresses),
            steps: plan::steps(self.me, device),
        };
        self.acts.push(Act::Tell(PeerEvent::Meet(Box::new(meeting))));
    }

    pub(super) fn say(&mut self, conversation: ConversationId, to: Option<DeviceId>, word: PeerWord) {
        self.acts.push(Act::Send(conversation, PeerSignal { to, word }));
    }

    fn say_what_is_due(&mut self, now: UnixMillis) {
        // Without UDP nobody is asked before it may come by way of the relay.
        let direct = match &self.reach {
            Some(Reach::Both(_)) if QUIC => Some(Carriers::BOTH),
            Some(Reach::Routed) => None,
            Some(_) => Some(Carriers::CHANNEL),
            None => return,
        };
        let mut due = Vec::new();
        for ask in &mut self.asks {
            if ask.again <= now {
                ask.again = after(now, if ask.was_said { ASK_EVERY_MS } else { ASK_AGAIN_MS });
                ask.was_said = true;
                let carriers = if ask.routed { Some(Carriers::ROUTED_CHANNEL) } else { direct };
                let (id, root) = (ask.id, ask.root);
                if let Some(carriers) = carriers.filter(|_| ask.sources.len() < SOURCES_MAX) {
                    due.push((ask.conversation, PeerWord::Sought { ask: id, root, carriers }));
                }
            }
        }
        for (conversation, word) in due {
            self.say(conversation, None, word);
        }
    }

    /// Time has passed.
    pub(crate) fn on_time(&mut self, now: UnixMillis) {
        self.say_what_is_due(now);
        self.offers.retain(|offer| offer.until > now);
        self.channels.retain(|channel| channel.until > now);
        let (due, later) = std::mem::take(&mut self.pending).into_iter().partition(|one| one.due <= now);
        self.pending = later;
        let due: Vec<Pending> = due;
        for Pending { asked, answers, .. } in due {
            if answers < SOURCES_MAX {
                self.acts.push(Act::Tell(PeerEvent::Asked(asked)));
            }
        }
    }

    /// When to look again.
    pub(crate) fn deadline(&self) -> Option<UnixMillis> {
        self.reach.as_ref()?;
        let asks = self.asks.iter().map(|ask| ask.again);
        let pending = self.pending.iter().map(|pending| pending.due);
        let offers = self.offers.iter().map(|offer| offer.until);
        asks.chain(pending).chain(offers).chain(self.channels.iter().map(|channel| channel.until)).min()
    }

    /// After the clock jumped back: nothing waits longer than it was meant to.
    pub(crate) fn clamp(&mut self, now: UnixMillis) {
        for ask in &mut self.asks {
            ask.again = ask.again.min(after(now, ASK_EVERY_MS));
        }
        for pending in &mut self.pending {
            pending.due = pending.due.min(after(now, SPREAD_MS_MAX));
        }
        for offer in &mut self.offers {
            offer.until = offer.until.min(after(now, OFFER_MS));
        }
        for channel in &mut self.channels {
            channel.until = channel.until.min(after(now, KEPT_MS));
        }
        for (_, at) in &mut self.answered {
            *at = (*at).min(now);
        }
    }
}
