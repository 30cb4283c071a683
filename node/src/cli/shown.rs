//! Which lines were shown already, so that each is shown once and none is passed over.
//!
//! Lines of others become events in the order of the log: when one comes, everything before it has come. A text of
//! this device becomes an event as soon as the relay has acknowledged it, and that may be *before* what stands above
//! it in the log was delivered. So an own line settles nothing but itself, and is remembered for itself.

use sotto_e2ee::store::{Store, StoreError};
use sotto_node_core::client::Client;
use sotto_node_core::view::{ConversationView, Message, Origin};
use sotto_protocol::ids::{ConversationId, Sequence};
use std::collections::{BTreeSet, HashMap};

/// Own lines of a conversation that are remembered each for itself. At most 64 of them are under way at once, so
/// many more have come and gone before a line of somebody else that stood above them all.
const AHEAD_MAX: usize = 1024;

/// What was shown of every conversation.
#[derive(Default)]
pub(crate) struct Shown(HashMap<ConversationId, Place>);

/// What was shown of one.
#[derive(Default)]
struct Place {
    /// Up to here nothing will come that was not shown, or was there before.
    upto: Sequence,
    /// What was shown after that.
    ahead: BTreeSet<Sequence>,
}

impl Shown {
    /// Everything that is there now counts as shown. Events from before this moment are in it.
    pub(crate) fn up_to_now<S: Store>(client: &Client<S>) -> Result<Self, StoreError> {
        let mut shown = Self::default();
        for view in client.conversations()? {
            shown.settle(&view);
            if view.last.is_some_and(|last| last.sequence > view.cursor) {
                for line in client.history_after(view.conversation, view.cursor, AHEAD_MAX)? {
                    shown.is_new(&line);
                }
            }
        }
        Ok(shown)
    }

    /// Everything of a conversation that has been read from the log counts as shown; gives up to where it was before.
    pub(crate) fn settle(&mut self, view: &ConversationView) -> Sequence {
        let place = self.0.entry(view.conversation).or_default();
        let before = place.upto;
        place.settle(view.cursor);
        before
    }

    /// Up to where every line was shown.
    pub(crate) fn upto(&self, conversation: ConversationId) -> Sequence {
        self.0.get(&conversation).map_or(Sequence(0), |place| place.upto)
    }

    /// Whether a line was shown, or was there before.
    pub(crate) fn has(&self, line: &Message) -> bool {
        let place = self.0.get(&line.conversation);
        place.is_some_and(|place| line.sequence <= place.upto || place.ahead.contains(&line.sequence))
    }

    /// Whether a line has not been shown yet. From now on it has.
    pub(crate) fn is_new(&mut self, line: &Message) -> bool {
        if self.has(line) {
            return false;
        }
        let place = self.0.entry(line.conversation).or_default();
        place.ahead.insert(line.sequence);
        if line.origin == Origin::Own {
            place.drain();
        } else {
            place.settle(line.sequence);
        }
        true
    }
}

impl Place {
    fn settle(&mut self, upto: Sequence) {
        self.upto = self.upto.max(upto);
        self.ahead = self.ahead.split_off(&self.upto.next());
        self.drain();
    }

    /// Lines that follow on each other without a gap need not be remembered one by one.
    fn drain(&mut self) {
        while let Some(first) = self.ahead.first().copied() {
            if first != self.upto.next() && self.ahead.len() <= AHEAD_MAX {
                return;
            }
            self.ahead.pop_first();
            self.upto = first;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use sotto_node_core::view::{Line, Standing};
    use sotto_protocol::body::conversation::{HistoryPolicy, Kind};
    use sotto_protocol::ids::{AccountId, DeviceId, MessageNumber, UnixMillis};

    const GROUP: ConversationId = ConversationId([1; 16]);

    pub(crate) fn view(cursor: u64) -> ConversationView {
        ConversationView {
            conversation: GROUP,
            kind: Kind::Group,
            history: HistoryPolicy::SinceJoining,
            title: "garden".to_owned(),
            name: "garden".to_owned(),
            standing: Standing::Member,
            suite: None,
            epoch: None,
            cursor: Sequence(cursor),
            unread: 0,
            last: None,
            queued: 0,
            members: Vec::new(),
            pins: Vec::new(),
            timer: None,
        }
    }

    pub(crate) fn line(sequence: u64, origin: Origin) -> Message {
        Message {
            conversation: GROUP,
            sequence: Sequence(sequence),
            time: UnixMillis(1),
            sent_at: UnixMillis(1),
            account: AccountId([2; 16]),
            username: "bob".to_owned(),
            device: DeviceId([3; 16]),
            number: MessageNumber(1),
            own: origin == Origin::Own,
            line: Line::Text("hello".to_owned()),
            preview: None,
            origin,
            reply: None,
            edited_at: None,
            reactions: Vec::new(),
            pinned: false,
            mentions: Vec::new(),
            expires_at: None,
            read_by: Vec::new(),
            delivered_to: Vec::new(),
        }
    }

    fn at(cursor: u64) -> Shown {
        let mut shown = Shown::default();
        shown.settle(&view(cursor));
        shown
    }

    #[test]
    fn what_was_there_before_is_not_new_and_what_comes_is_new_once() {
        let mut shown = at(7);
        assert!(!shown.is_new(&line(7, Origin::Message)));
        assert!(shown.is_new(&line(8, Origin::Message)));
        assert!(!shown.is_new(&line(8, Origin::Message)));
        assert_eq!(shown.upto(GROUP), Sequence(8));
    }

    #[test]
    fn an_own_line_that_was_acknowledged_first_hides_nothing_before_it() {
        let mut shown = at(3);
        assert!(shown.is_new(&line(6, Origin::Own)));
        assert_eq!(shown.upto(GROUP), Sequence(3), "what comes between is still to come");
        assert!(shown.is_new(&line(4, Origin::Message)));
        assert!(shown.is_new(&line(5, Origin::Message)));
        assert_eq!(shown.upto(GROUP), Sequence(6), "there is no gap any more");
        assert!(!shown.is_new(&line(6, Origin::Own)), "once");
    }

    #[test]
    fn who_only_writes_is_remembered_in_bounded_space() {
        let mut shown = at(0);
        for sequence in (2..100_000).step_by(2) {
            assert!(shown.is_new(&line(sequence, Origin::Own)));
        }
        let place = shown.0.get(&GROUP).expect("there");
        assert_eq!(place.ahead.len(), AHEAD_MAX);
        assert!(!shown.is_new(&line(2, Origin::Own)));
    }

    #[test]
    fn a_settled_conversation_begins_after_what_was_read_from_its_log() {
        let mut shown = at(3);
        assert!(shown.is_new(&line(95, Origin::Own)));
        assert_eq!(shown.settle(&view(90)), Sequence(3));
        assert!(!shown.is_new(&line(90, Origin::Message)));
        assert!(!shown.is_new(&line(95, Origin::Own)));
        assert!(shown.is_new(&line(91, Origin::Message)));
    }
}
