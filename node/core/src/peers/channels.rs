//! Links over data channels of WebRTC, between browsers and between a browser and a node: who describes what to whom. Finding a way
//! between the two is their shells' work.
//!
//! ```text
//! taker                                       every device that holds the file
//!   Want  -- sought: ask, root, channel ---->   Asked: the shell looks whether it still has it
//!   Negotiate: take the offer           <---  Offer -- offer: link, SDP
//!   Answer   -- answer: SDP ---------------->  Negotiate: take the answer
//!            <-- candidates, both ways, as they are found -->
//!   <======= DTLS; each shows the certificate that its description promised =======>
//! ```
//!
//! A giver whose network changed offers anew on the same link, in another round; what was said of an earlier round counts for nothing.

use super::machine::{Act, OFFER_MS, Peers, WAITING_MAX, after};
use super::{Asked, ChannelCommand, ChannelNews, PeerEvent, addresses};
use crate::calls::{CANDIDATES_MAX, Candidate, Negotiation, sdp};
use crate::event::{Failure, FailureCode};
use sotto_e2ee::content::peer::{CHANNEL_SDP_BYTES_MAX, PeerWord};
use sotto_protocol::blob::BlobRoot;
use sotto_protocol::ids::{AccountId, AskId, ConversationId, DeviceId, LinkId, UnixMillis};

/// Attempts on one link. What does not come back by then is asked for anew.
const ROUNDS_MAX: u32 = 8;

/// A link of which nothing is said any more is forgotten after this; what goes over it goes on.
pub(super) const KEPT_MS: u64 = 60 * 60 * 1_000;

/// Files of a shell that are remembered, the newest.
const HELD_MAX: usize = 64;

/// One link, or one that may come about.
pub(super) struct Channel {
    link: LinkId,
    conversation: ConversationId,
    ask: AskId,
    /// The other device.
    device: DeviceId,
    /// This device has the file, so it describes first.
    gives: bool,
    round: u32,
    /// Of this round.
    is_answered: bool,
    candidates: usize,
    pub(super) until: UnixMillis,
}

impl Channel {
    fn begin(&mut self, round: u32, now: UnixMillis) {
        (self.round, self.is_answered, self.candidates) = (round, false, 0);
        self.until = after(now, KEPT_MS);
    }

    const fn may_begin(&self, round: u32) -> bool {
        round > self.round && round <= ROUNDS_MAX
    }
}

/// Who said a word, and where.
#[derive(Clone, Copy)]
pub(super) struct Speaker {
    pub(super) conversation: ConversationId,
    pub(super) account: AccountId,
    pub(super) device: DeviceId,
}

fn refused(why: &str) -> Failure {
    Failure::new(FailureCode::Invalid, why)
}

fn is_sound(sdp: &str) -> bool {
    sdp.len() <= CHANNEL_SDP_BYTES_MAX && sdp::is_of_channel(sdp)
}

impl Peers {
    /// A shell holds a file for members who ask.
    pub(super) fn hold(&mut self, conversation: ConversationId, root: BlobRoot) {
        self.held.retain(|held| *held != (conversation, root));
        if self.held.len() >= HELD_MAX {
            self.held.remove(0);
        }
        self.held.push((conversation, root));
    }

    pub(super) fn holds(&self, conversation: ConversationId, root: BlobRoot) -> bool {
        self.held.contains(&(conversation, root))
    }

    fn channel(&mut self, link: LinkId) -> Option<&mut Channel> {
        self.channels.iter_mut().find(|channel| channel.link == link)
    }

    /// A shell that makes data channels did something.
    pub(super) fn channel_command(
        &mut self,
        command: ChannelCommand,
        now: UnixMillis,
    ) -> Result<(), Failure> {
        if self.reach.is_none() {
            return Err(refused("links are off, or there is no connection to the relay"));
        }
        match command {
            ChannelCommand::Holds { conversation, root } => self.hold(conversation, root),
            ChannelCommand::Offer { link, asked, round, sdp } => {
                return self.offer_channel(link, asked, round, sdp, now);
            }
            ChannelCommand::Answer { link, round, sdp } => {
                let this =
                    |channel: &&mut Channel| !channel.gives && channel.round == round && !channel.is_answered;
                let channel = self.channel(link).filter(this).filter(|_| is_sound(&sdp));
                let channel = channel.ok_or_else(|| refused("nobody waits for this answer"))?;
                channel.is_answered = true;
                let (conversation, device) = (channel.conversation, channel.device);
                self.say(conversation, Some(device), PeerWord::Answer { link, round, sdp });
            }
            ChannelCommand::Candidates { link, round, list } => {
                let channel = self.channel(link).filter(|channel| channel.round == round);
                let channel = channel.ok_or_else(|| refused("there is no such link, or not any more"))?;
                let (conversation, device) = (channel.conversation, channel.device);
                self.say(conversation, Some(device), PeerWord::Candidates { link, round, list });
            }
            ChannelCommand::Close { link, again } => {
                let Some(place) = self.channels.iter().position(|channel| channel.link == link) else {
                    return Ok(());
                };
                let Channel { ask, device, gives, .. } = self.channels.swap_remove(place);
                if again && !gives {
                    self.lost(ask, device);
                }
            }
        }
        Ok(())
    }

    fn offer_channel(
        &mut self,
        link: LinkId,
        asked: Asked,
        round: u32,
        sdp: String,
        now: UnixMillis,
    ) -> Result<(), Failure> {
        if !is_sound(&sdp) {
            return Err(refused("this describes no data channel, or more than one"));
        }
        let Asked { ask, conversation, root, by, .. } = asked;
        let is_known = self.channels.iter().any(|channel| (channel.ask, channel.device) == (ask, by));
        let is_room = self.channels.len() < WAITING_MAX && !is_known;
        let may_offer = round == 0 && is_room && (self.holds(conversation, root) || self.serves());
        match self.channel(link) {
            Some(channel) if channel.gives && channel.may_begin(round) => channel.begin(round, now),
            None if may_offer => {
                let until = after(now, OFFER_MS);
                let (device, gives, is_answered, candidates) = (by, true, false, 0);
                let channel =
                    Channel { link, conversation, ask, device, gives, round, is_answered, candidates, until };
                self.channels.push(channel);
            }
            _ => return Err(refused("another tab offers it, or there are as many links as there may be")),
        }
        self.say(conversation, Some(by), PeerWord::Offer { ask, link, round, sdp });
        Ok(())
    }

    /// A device that has what this one wants describes its end, or does so anew.
    pub(super) fn offered(
        &mut self,
        from: Speaker,
        (ask, link): (AskId, LinkId),
        (round, sdp): (u32, String),
        now: UnixMillis,
    ) {
        if !is_sound(&sdp) {
            return;
        }
        let Speaker { conversation, device, .. } = from;
        if let Some(channel) = self.channel(link) {
            let is_theirs =
                (channel.conversation, channel.device, channel.ask) == (conversation, device, ask);
            if channel.gives || !is_theirs || !channel.may_begin(round) {
                return;
            }
            channel.begin(round, now);
        } else {
            let is_room = round == 0 && self.channels.len() < WAITING_MAX;
            if !is_room || !self.takes_from(ask, conversation, device) {
                return;
            }
            let (gives, is_answered, candidates, until) = (false, false, 0, after(now, KEPT_MS));
            let channel =
                Channel { link, conversation, ask, device, gives, round, is_answered, candidates, until };
            self.channels.push(channel);
        }
        self.tell(from, link, Some(ask), Negotiation::Description { round, offer: true, sdp });
    }

    /// The device that wants the file describes its end.
    pub(super) fn answered(
        &mut self,
        from: Speaker,
        link: LinkId,
        (round, sdp): (u32, String),
        now: UnixMillis,
    ) {
        let Some(channel) = self.channel(link).filter(|_| is_sound(&sdp)) else { return };
        let is_theirs =
            (channel.conversation, channel.device, channel.round) == (from.conversation, from.device, round);
        if !channel.gives || !is_theirs || channel.is_answered {
            return;
        }
        channel.is_answered = true;
        channel.until = after(now, KEPT_MS);
        self.tell(from, link, None, Negotiation::Description { round, offer: false, sdp });
    }

    /// Where the other one may be reached: those of it that may be tried at all.
    pub(super) fn found(&mut self, from: Speaker, link: LinkId, round: u32, mut list: Vec<Candidate>) {
        let Some(channel) = self.channel(link) else { return };
        if (channel.conversation, channel.device, channel.round) != (from.conversation, from.device, round) {
            return;
        }
        list.retain(|candidate| addresses::may_try(&candidate.line));
        list.truncate(CANDIDATES_MAX.saturating_sub(channel.candidates));
        channel.candidates = channel.candidates.saturating_add(list.len());
        let ask = (!channel.gives).then_some(channel.ask);
        if !list.is_empty() {
            self.tell(from, link, ask, Negotiation::Candidates { round, list });
        }
    }

    fn tell(&mut self, from: Speaker, link: LinkId, ask: Option<AskId>, what: Negotiation) {
        let Speaker { account, device, .. } = from;
        let news = ChannelNews { link, ask, account, device, what };
        self.acts.push(Act::Tell(PeerEvent::Channel(Box::new(news))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::Reach;
    use crate::peers::machine::Heard;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng as _;
    use sotto_e2ee::content::peer::{Carriers, PeerSignal, Way};

    const PLACE: ConversationId = ConversationId([7; 16]);
    const ROOT: BlobRoot = BlobRoot([5; 32]);
    const ASK: AskId = AskId([6; 16]);
    const LINK: LinkId = LinkId([9; 16]);

    fn at(now: u64) -> UnixMillis {
        UnixMillis(now)
    }

    fn sdp() -> String {
        let print = ["AB"; 32].join(":");
        format!(
            "v=0\r\na=fingerprint:sha-256 {print}\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
        )
    }

    fn browser(of: u8) -> Peers {
        let mut peer = Peers::new(DeviceId([of; 16]), false, at(0));
        peer.network(Some(Reach::Channels), at(0));
        peer
    }

    fn hears(peer: &mut Peers, from: u8, signal: PeerSignal, now: u64) -> Vec<Act> {
        let (account, device) = (AccountId([from; 16]), DeviceId([from; 16]));
        let heard = Heard { conversation: PLACE, account, device, signal, is_kept: false, members: 2 };
        peer.heard(heard, at(now), &mut ChaCha20Rng::seed_from_u64(5));
        peer.take_acts()
    }

    fn does(peer: &mut Peers, command: ChannelCommand, now: u64) -> Result<(), Failure> {
        peer.channel_command(command, at(now))
    }

    /// What is said of a step, which is one word.
    fn said(peer: &mut Peers) -> PeerSignal {
        match <[Act; 1]>::try_from(peer.take_acts()) {
            Ok([Act::Send(PLACE, signal)]) => signal,
            other => panic!("one word: {other:?}"),
        }
    }

    fn told(acts: Vec<Act>) -> ChannelNews {
        match <[Act; 1]>::try_from(acts) {
            Ok([Act::Tell(PeerEvent::Channel(news))]) => *news,
            other => panic!("one thing to do: {other:?}"),
        }
    }

    fn sought() -> PeerSignal {
        PeerSignal { to: None, word: PeerWord::Sought { ask: ASK, root: ROOT, carriers: Carriers::CHANNEL } }
    }

    fn candidate(host: &str) -> Candidate {
        Candidate { line: format!("candidate:1 1 udp 1 {host} 50000 typ host"), mid: None, section: None }
    }

    fn asked(by: u8) -> Asked {
        Asked {
            ask: ASK,
            conversation: PLACE,
            root: ROOT,
            by: DeviceId([by; 16]),
            channel: true,
            routed: false,
        }
    }

    fn offer(round: u32) -> ChannelCommand {
        ChannelCommand::Offer { link: LINK, asked: asked(1), round, sdp: sdp() }
    }

    /// Who wants a file (1) and who has it (2), with a link that is offered and answered.
    fn linked() -> (Peers, Peers) {
        let (mut taker, mut giver) = (browser(1), browser(2));
        does(&mut giver, ChannelCommand::Holds { conversation: PLACE, root: ROOT }, 0).unwrap();
        taker.want(ASK, PLACE, ROOT, at(0)).unwrap();
        assert_eq!(said(&mut taker), sought());
        assert_eq!(hears(&mut giver, 1, sought(), 0), [Act::Tell(PeerEvent::Asked(asked(1)))]);
        does(&mut giver, offer(0), 0).unwrap();
        let news = told(hears(&mut taker, 2, said(&mut giver), 0));
        let what = Negotiation::Description { round: 0, offer: true, sdp: sdp() };
        let (account, device) = (AccountId([2; 16]), DeviceId([2; 16]));
        assert_eq!(news, ChannelNews { link: LINK, ask: Some(ASK), account, device, what });
        does(&mut taker, ChannelCommand::Answer { link: LINK, round: 0, sdp: sdp() }, 0).unwrap();
        let news = told(hears(&mut giver, 1, said(&mut taker), 0));
        assert_eq!(
            (news.ask, news.what),
            (None, Negotiation::Description { round: 0, offer: false, sdp: sdp() })
        );
        (taker, giver)
    }

    #[test]
    fn a_channel_is_offered_answered_and_given_the_ways_that_may_be_of_a_device() {
        let (mut taker, mut giver) = linked();
        let list = vec![candidate("192.0.2.1"), candidate("127.0.0.1"), candidate("fe80::1")];
        does(&mut taker, ChannelCommand::Candidates { link: LINK, round: 0, list }, 0).unwrap();
        let news = told(hears(&mut giver, 1, said(&mut taker), 0));
        let tried = Negotiation::Candidates { round: 0, list: vec![candidate("192.0.2.1")] };
        assert_eq!(news.what, tried);
        let flood = vec![candidate("192.0.2.1"); 24];
        let mut tried = 1;
        for _ in 0..20 {
            let word = PeerWord::Candidates { link: LINK, round: 0, list: flood.clone() };
            for act in hears(&mut giver, 1, PeerSignal { to: Some(DeviceId([2; 16])), word }, 0) {
                let Act::Tell(PeerEvent::Channel(news)) = act else { panic!("{act:?}") };
                let Negotiation::Candidates { list, .. } = news.what else { panic!("candidates") };
                tried += list.len();
            }
        }
        assert_eq!(tried, CANDIDATES_MAX);
    }

    #[test]
    fn a_giver_whose_way_changed_offers_anew_on_the_same_link_and_what_was_of_before_counts_no_more() {
        let (mut taker, mut giver) = linked();
        does(&mut giver, offer(0), 10).unwrap_err();
        does(&mut giver, offer(1), 10).unwrap();
        let anew = said(&mut giver);
        let news = told(hears(&mut taker, 2, anew.clone(), 10));
        assert_eq!(news.what, Negotiation::Description { round: 1, offer: true, sdp: sdp() });
        assert_eq!(hears(&mut taker, 2, anew.clone(), 10), [], "it counts once");
        assert_eq!(hears(&mut taker, 3, anew, 10), [], "and of the other end alone");
        does(&mut taker, ChannelCommand::Answer { link: LINK, round: 0, sdp: sdp() }, 10).unwrap_err();
        does(&mut taker, ChannelCommand::Answer { link: LINK, round: 1, sdp: sdp() }, 10).unwrap();
        let answer = said(&mut taker);
        let late = PeerWord::Answer { link: LINK, round: 0, sdp: sdp() };
        assert_eq!(hears(&mut giver, 1, PeerSignal { word: late, ..answer.clone() }, 10), []);
        assert_eq!(told(hears(&mut giver, 1, answer, 10)).ask, None);
        for round in 2..=ROUNDS_MAX {
            does(&mut giver, offer(round), 10).unwrap();
        }
        does(&mut giver, offer(ROUNDS_MAX + 1), 10).unwrap_err();
    }

    /// P-074.
    #[test]
    fn who_hides_asks_nobody_offers_nothing_and_forgets_its_links() {
        let (mut taker, mut giver) = linked();
        for peer in [&mut taker, &mut giver] {
            peer.set_relay_only(true);
            peer.network(Some(Reach::Channels), at(20));
            peer.on_time(at(60_000));
            assert_eq!((peer.take_acts(), peer.deadline()), (vec![], None));
        }
        assert_eq!(hears(&mut giver, 1, sought(), 60_000), []);
        does(&mut giver, offer(1), 60_000).unwrap_err();
        let list = vec![candidate("192.0.2.1")];
        does(&mut taker, ChannelCommand::Candidates { link: LINK, round: 0, list }, 60_000).unwrap_err();
    }

    #[test]
    fn a_description_of_something_else_and_one_that_nobody_asked_for_go_nowhere() {
        let (mut taker, mut giver) = (browser(1), browser(2));
        let offered = |ask, sdp| {
            let word = PeerWord::Offer { ask, link: LINK, round: 0, sdp };
            PeerSignal { to: Some(DeviceId([1; 16])), word }
        };
        taker.want(ASK, PLACE, ROOT, at(0)).unwrap();
        taker.take_acts();
        assert_eq!(hears(&mut taker, 2, offered(AskId([1; 16]), sdp()), 0), []);
        let video = format!("{}m=video 9 UDP/TLS/RTP/SAVPF 96\r\n", sdp());
        assert_eq!(hears(&mut taker, 2, offered(ASK, video.clone()), 0), []);
        does(&mut giver, ChannelCommand::Holds { conversation: PLACE, root: ROOT }, 0).unwrap();
        does(&mut giver, ChannelCommand::Offer { link: LINK, asked: asked(1), round: 0, sdp: video }, 0)
            .unwrap_err();
        let other = Asked { root: BlobRoot([4; 32]), ..asked(1) };
        does(&mut giver, ChannelCommand::Offer { link: LINK, asked: other, round: 0, sdp: sdp() }, 0)
            .unwrap_err();
        assert_eq!((taker.take_acts(), giver.take_acts()), (vec![], vec![]));
    }

    #[test]
    fn a_link_that_failed_may_be_offered_again_and_one_that_broke_the_rules_not() {
        for (again, news) in [(true, 1), (false, 0)] {
            let (mut taker, mut giver) = linked();
            does(&mut taker, ChannelCommand::Close { link: LINK, again }, 0).unwrap();
            does(&mut giver, ChannelCommand::Close { link: LINK, again }, 0).unwrap();
            does(&mut giver, offer(0), 0).unwrap();
            let second = said(&mut giver);
            assert_eq!(hears(&mut taker, 2, second, 0).len(), news);
        }
    }

    /// A node that runs on and kept the file.
    fn node(of: u8) -> Peers {
        let way = Way { fingerprint: [of; 32], addresses: Vec::new() };
        let mut node = Peers::new(DeviceId([of; 16]), false, at(0));
        node.serve();
        node.network(Some(Reach::Both(way)), at(0));
        node
    }

    fn is_asked(peer: &mut Peers, from: u8, word: PeerWord) -> Option<Asked> {
        let (account, device) = (AccountId([from; 16]), DeviceId([from; 16]));
        let signal = PeerSignal { to: None, word };
        let heard = Heard { conversation: PLACE, account, device, signal, is_kept: true, members: 2 };
        peer.heard(heard, at(0), &mut ChaCha20Rng::seed_from_u64(5));
        match <[Act; 1]>::try_from(peer.take_acts()).ok()? {
            [Act::Tell(PeerEvent::Asked(asked))] => Some(asked),
            [other] => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_node_answers_nodes_over_quic_and_browsers_by_a_channel_and_a_browser_answers_both_by_one() {
        let sought = |carriers| PeerWord::Sought { ask: ASK, root: ROOT, carriers };
        let wanted = PeerWord::Wanted { ask: ASK, root: ROOT };
        let over = |channel| Some(Asked { channel, ..asked(1) });
        assert_eq!(is_asked(&mut node(2), 1, sought(Carriers::CHANNEL)), over(true));
        assert_eq!(is_asked(&mut node(2), 1, sought(Carriers::QUIC)), over(false));
        assert_eq!(is_asked(&mut node(2), 1, sought(Carriers::BOTH)), over(false));
        assert_eq!(is_asked(&mut node(2), 1, wanted.clone()), over(false), "of a node of before");
        let there = || {
            let mut there = browser(3);
            there.hold(PLACE, ROOT);
            there
        };
        assert_eq!(is_asked(&mut there(), 1, sought(Carriers::BOTH)), over(true));
        assert_eq!(is_asked(&mut there(), 1, sought(Carriers::QUIC)), None);
        assert_eq!(is_asked(&mut there(), 1, wanted), None);
    }

    #[test]
    fn a_node_offers_a_channel_of_what_it_gives_and_takes_one_for_what_it_wants() {
        let (mut giver, mut taker) = (node(2), node(1));
        assert_eq!(hears(&mut giver, 1, sought(), 0), [], "it did not keep the file");
        does(&mut giver, offer(0), 0).unwrap();
        let offered = said(&mut giver);
        assert_eq!(hears(&mut taker, 2, offered.clone(), 0), [], "nothing is wanted");
        taker.want(ASK, PLACE, ROOT, at(0)).unwrap();
        let carriers = Carriers::BOTH;
        let question = PeerSignal { to: None, word: PeerWord::Sought { ask: ASK, root: ROOT, carriers } };
        assert_eq!(said(&mut taker), question);
        assert_eq!(told(hears(&mut taker, 2, offered, 0)).ask, Some(ASK));
        let way = Way { fingerprint: [2; 32], addresses: Vec::new() };
        let have = PeerWord::Have { ask: ASK, link: LinkId([8; 16]), way };
        let have = PeerSignal { to: Some(DeviceId([1; 16])), word: have };
        assert_eq!(hears(&mut taker, 2, have, 0), [], "one link to one device");
        does(&mut taker, ChannelCommand::Answer { link: LINK, round: 0, sdp: sdp() }, 0).unwrap();
        assert_eq!(told(hears(&mut giver, 1, said(&mut taker), 0)).ask, None);
        let mut passing = Peers::new(DeviceId([4; 16]), false, at(0));
        let way = Way { fingerprint: [4; 32], addresses: Vec::new() };
        passing.network(Some(Reach::Both(way)), at(0));
        does(&mut passing, offer(0), 0).unwrap_err();
    }

    #[test]
    fn links_are_few_and_those_that_nobody_takes_up_are_forgotten() {
        let mut giver = browser(2);
        giver.hold(PLACE, ROOT);
        let offer =
            |of: u8| ChannelCommand::Offer { link: LinkId([of; 16]), asked: asked(of), round: 0, sdp: sdp() };
        let taken = (10..100).filter(|of| does(&mut giver, offer(*of), 0).is_ok()).count();
        assert_eq!(taken, WAITING_MAX);
        giver.on_time(at(OFFER_MS));
        assert!(does(&mut giver, offer(200), OFFER_MS).is_ok());
        for of in 0..200 {
            giver.hold(PLACE, BlobRoot([of; 32]));
        }
        assert_eq!(giver.held.len(), HELD_MAX);
    }
}
