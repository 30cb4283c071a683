//! Who has a text, who has read it, and who is typing: ephemerals, which the relay routes and does not keep.
//!
//! A device says up to where it has the log (*delivered*) and up to where its person has read (*read*). Both only grow, so
//! one word covers all before it and a lost one is covered by the next: at most one of each goes out in
//! [`RECEIPT_PAUSE_MS`] per conversation, whatever comes in.
//!
//! Nobody keeps them for a device that is away. So a device that comes back, and has a text that not everybody is known to
//! have read, asks for them once; who is there answers with the same two words. And every content says in its head up
//! to where its sender had the log, which is a receipt that the log keeps.
//!
//! In conversations of more than [`RECEIPT_ACCOUNTS_MAX`] accounts only the heads count: each arrival there would
//! make everybody answer to everybody.

use crate::core::{Convo, Core, Ctx};
use crate::event::Event;
use crate::link::Link;
use crate::rows;
use bincode::{Decode, Encode};
use sotto_e2ee::content::Ephemeral;
use sotto_e2ee::conversation::Sender;
use sotto_e2ee::store::{Scan, StoreError, Transaction};
use sotto_protocol::body::log::SendEphemeral;
use sotto_protocol::ids::{AccountId, ConversationId, Epoch, Sequence, UnixMillis};
use sotto_protocol::ordered::one_by_one;
use std::collections::{BTreeMap, BTreeSet};

/// The least time between two receipts of one sort in one conversation.
pub(crate) const RECEIPT_PAUSE_MS: u64 = 1_000;

/// Accounts of a conversation in which receipts are sent. When one of 32 arrives, 31 answer with two words to 32: about
/// 2,000 deliveries of 350 bytes, 0.7 MB.
pub(crate) const RECEIPT_ACCOUNTS_MAX: usize = 32;

/// How old an own text may be for which receipts are asked after coming back: a week.
const WANTED_MS: u64 = 7 * 24 * 3_600_000;

/// How long somebody counts as typing after saying so.
pub(crate) const TYPING_MS: u64 = 6_000;

/// How often it is said: twice in the time for which it counts.
const TYPING_PAUSE_MS: u64 = 3_000;

/// When a member says that roles have changed, the others ask the relay within this.
const ROLES_SPREAD_MS: u64 = 2_000;

const RECEIPT: u8 = 0x55;

/// How far one account is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ReceiptRow {
    pub(crate) delivered: Sequence,
    pub(crate) read: Sequence,
}

/// What is known of others in one conversation, and what they are to be told.
#[derive(Default)]
pub(crate) struct Receipts {
    known: BTreeMap<AccountId, ReceiptRow>,
    changed: BTreeSet<AccountId>,
    /// Who types, and until when.
    typing: BTreeMap<AccountId, UnixMillis>,
    /// When this device said last that it types.
    said_typing: Option<UnixMillis>,
    said_read: Option<UnixMillis>,
    said_delivered: Option<UnixMillis>,
    /// Somebody asked: say it again although it was said.
    asked: bool,
}

/// How far somebody is, and since when they are there at all.
pub(crate) struct Reader {
    account: AccountId,
    since: Epoch,
    receipt: ReceiptRow,
}

impl Receipts {
    pub(crate) fn load(tx: &Transaction<'_>, conversation: ConversationId) -> Result<Self, StoreError> {
        let rows = tx.scan(&Scan::prefix(rows::under(RECEIPT, conversation)))?;
        let known = rows
            .iter()
            .map(|row| Ok((AccountId(rows::last_id(&row.key)?), rows::decode(&row.value)?)))
            .collect::<Result<_, StoreError>>()?;
        Ok(Self { known, ..Self::default() })
    }

    pub(crate) fn save(&mut self, tx: &Transaction<'_>, conversation: ConversationId) {
        for account in std::mem::take(&mut self.changed) {
            if let Some(row) = self.known.get(&account) {
                let mut key = rows::under(RECEIPT, conversation);
                key.extend_from_slice(account.as_bytes());
                rows::put(tx, key, row);
            }
        }
    }

    /// Takes a receipt; gives what was known before, if it is news.
    fn learn(&mut self, account: AccountId, delivered: Sequence, read: Sequence) -> Option<ReceiptRow> {
        let known = self.known.entry(account).or_default();
        let before = *known;
        known.read = known.read.max(read);
        known.delivered = known.delivered.max(delivered).max(known.read);
        let news = *known != before;
        if news {
            self.changed.insert(account);
        }
        news.then_some(before)
    }

    /// Who types now.
    pub(crate) fn typing(&self) -> Vec<AccountId> {
        self.typing.keys().copied().collect()
    }

    /// When the next one counts as having stopped.
    pub(crate) fn typing_until(&self) -> Option<UnixMillis> {
        self.typing.values().min().copied()
    }

    /// A clock that jumped back must not keep anybody typing.
    pub(crate) fn forget_times(&mut self, now: UnixMillis) {
        self.typing.values_mut().for_each(|until| *until = now);
        (self.said_typing, self.said_read, self.said_delivered) = (None, None, None);
    }
}

impl Core {
    /// How far the others of a conversation are.
    pub(crate) fn readers(&self, tx: &Transaction<'_>, convo: &Convo) -> Result<Vec<Reader>, StoreError> {
        let me = self.me.account();
        let Some(group) = convo.group.as_ref() else { return Ok(Vec::new()) };
        let members: BTreeSet<AccountId> = one_by_one(convo.members().iter().map(|member| member.account));
        let known = convo.receipts.known.iter();
        known
            .filter(|(account, _)| **account != me && members.contains(account))
            .map(|(account, receipt)| {
                let since = group.member_since(tx, *account)?.unwrap_or_default();
                Ok(Reader { account: *account, since, receipt: *receipt })
            })
            .collect()
    }

    /// A content of somebody came, who had the log up to `seen` when it was sent.
    pub(crate) fn seen_by(&self, ctx: &mut Ctx<'_>, convo: &mut Convo, account: AccountId, seen: Sequence) {
        if account != self.me.account() {
            self.receipt(ctx, convo, account, seen, Sequence(0));
        }
    }

    fn receipt(
        &self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        account: AccountId,
        delivered: Sequence,
        read: Sequence,
    ) {
        let Some(before) = convo.receipts.learn(account, delivered, read) else { return };
        let conversation = convo.id;
        let (own, _) = convo.kinds().last_own;
        let passed = |from: Sequence, to: Sequence| from < own && own <= to;
        if delivered > before.delivered {
            ctx.event(Event::Delivered { conversation, account, upto: delivered });
        }
        if passed(before.delivered, delivered) || passed(before.read, read) {
            ctx.event(Event::Changed { conversation, sequence: own });
        }
    }

    /// What came that is not stored.
    pub(crate) fn ephemeral_came(
        &self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        sender: &Sender,
        content: Ephemeral,
    ) -> Result<(), StoreError> {
        let (conversation, account, device) = (convo.id, sender.account, sender.device);
        let own = account == self.me.account();
        match content {
            Ephemeral::Typing if !own => {
                let until = UnixMillis(ctx.now.0.saturating_add(TYPING_MS));
                if convo.receipts.typing.insert(account, until).is_none() {
                    ctx.event(Event::Typing { conversation, account, on: true });
                }
                convo.wake_at(until);
            }
            Ephemeral::Receipt { upto } => {
                if own {
                    self.read_upto(ctx, convo, upto)?;
                } else {
                    self.receipt(ctx, convo, account, upto, upto);
                }
                ctx.event(Event::Read { conversation, account, device, upto });
            }
            Ephemeral::Delivered { upto } if !own => self.receipt(ctx, convo, account, upto, Sequence(0)),
            Ephemeral::ReceiptsWanted => convo.receipts.asked = true,
            Ephemeral::RolesChanged => {
                // Not all members at once, and a member that says it again and again has it asked for once in a while.
                let due = convo.flight.roles_due.get_or_insert_with(|| ctx.later(0, ROLES_SPREAD_MS));
                let due = *due;
                convo.wake_at(due);
            }
            _ => {}
        }
        Ok(())
    }

    /// The person has read up to here, on this device or another one.
    pub(crate) fn read_upto(
        &self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        upto: Sequence,
    ) -> Result<(), StoreError> {
        if upto <= convo.row().read_upto {
            return Ok(());
        }
        let me = self.me.account();
        let row = convo.row_mut();
        row.read_upto = upto;
        let unread = if upto >= row.last_line { 0 } else { rows::count_unread(ctx.tx, convo.id, upto, me)? };
        if convo.row().unread != unread {
            convo.row_mut().unread = unread;
            self.conversation_event(ctx, convo)?;
        }
        Ok(())
    }

    /// Somebody who was typing has sent it.
    pub(crate) fn stopped_typing(&self, ctx: &mut Ctx<'_>, convo: &mut Convo, account: AccountId) {
        if convo.receipts.typing.remove(&account).is_some() {
            ctx.event(Event::Typing { conversation: convo.id, account, on: false });
        }
    }

    /// Whoever has not said for a while that they type, does not.
    pub(crate) fn typing_ends(&mut self, ctx: &mut Ctx<'_>) {
        for convo in self.convos.values_mut() {
            let typing = std::mem::take(&mut convo.receipts.typing);
            for (account, until) in typing {
                if until <= ctx.now {
                    ctx.event(Event::Typing { conversation: convo.id, account, on: false });
                } else {
                    convo.receipts.typing.insert(account, until);
                }
            }
        }
    }

    /// The person types.
    pub(crate) fn say_typing(&mut self, ctx: &mut Ctx<'_>, id: ConversationId) -> Result<(), StoreError> {
        self.with(id, |core, convo| {
            let pause = |said: UnixMillis| said.0.saturating_add(TYPING_PAUSE_MS) > ctx.now.0;
            if !convo.receipts.said_typing.is_some_and(pause)
                && core.send_ephemeral(ctx, convo, Ephemeral::Typing)
            {
                convo.receipts.said_typing = Some(ctx.now);
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Whether something is to be said that was not yet.
    pub(crate) fn receipts_due(&self, convo: &Convo) -> bool {
        let (read, delivered) = (self.read_to_tell(convo), self.delivered_to_tell(convo));
        self.may_tell(convo) && (read.is_some() || delivered.is_some())
    }

    fn may_tell(&self, convo: &Convo) -> bool {
        let accounts: BTreeSet<AccountId> = one_by_one(convo.members().iter().map(|member| member.account));
        self.settings.receipts && convo.is_member() && accounts.len() <= RECEIPT_ACCOUNTS_MAX
    }

    fn read_to_tell(&self, convo: &Convo) -> Option<Sequence> {
        let upto = convo.row().read_upto;
        (upto > convo.kinds().told_read || convo.receipts.asked && upto.0 > 0).then_some(upto)
    }

    fn delivered_to_tell(&self, convo: &Convo) -> Option<Sequence> {
        let upto = convo.kinds().last_others;
        (upto > convo.kinds().told_delivered || convo.receipts.asked && upto.0 > 0).then_some(upto)
    }

    /// Says what is to be said, if its time has come.
    pub(crate) fn drive_receipts(&self, ctx: &mut Ctx<'_>, convo: &mut Convo) {
        if !self.may_tell(convo) {
            convo.receipts.asked = false;
            return;
        }
        if !std::mem::replace(&mut convo.flight.receipts_asked, true) && self.wants_receipts(ctx, convo) {
            self.send_ephemeral(ctx, convo, Ephemeral::ReceiptsWanted);
        }
        let next = |said: Option<UnixMillis>| {
            let next = said.map(|said| UnixMillis(said.0.saturating_add(RECEIPT_PAUSE_MS)));
            next.filter(|next| *next > ctx.now)
        };
        let (read_next, delivered_next) =
            (next(convo.receipts.said_read), next(convo.receipts.said_delivered));
        let mut late = false;
        if let Some(upto) = self.read_to_tell(convo) {
            if let Some(next) = read_next {
                convo.wake_at(next);
                late = true;
            } else if self.send_ephemeral(ctx, convo, Ephemeral::Receipt { upto }) {
                convo.receipts.said_read = Some(ctx.now);
                convo.kinds_mut().told_read = upto;
            }
        }
        if let Some(upto) = self.delivered_to_tell(convo) {
            if let Some(next) = delivered_next {
                convo.wake_at(next);
                late = true;
            } else if self.send_ephemeral(ctx, convo, Ephemeral::Delivered { upto }) {
                convo.receipts.said_delivered = Some(ctx.now);
                convo.kinds_mut().told_delivered = upto;
            }
        }
        convo.receipts.asked &= late;
    }

    /// An own text of the last days, which not everybody is known to have read.
    fn wants_receipts(&self, ctx: &Ctx<'_>, convo: &Convo) -> bool {
        let (own, time) = convo.kinds().last_own;
        let me = self.me.account();
        let unread = |account: AccountId| {
            account != me && convo.receipts.known.get(&account).is_none_or(|known| known.read < own)
        };
        own.0 > 0
            && time.0.saturating_add(WANTED_MS) > ctx.now.0
            && convo.members().iter().any(|member| unread(member.account))
    }

    /// Sends what is not stored, to whoever is there; away from the relay it is nothing, and false.
    pub(crate) fn send_ephemeral(&self, ctx: &mut Ctx<'_>, convo: &Convo, ephemeral: Ephemeral) -> bool {
        let Some(group) = convo.group.as_ref().filter(|_| self.link.is_ready() && convo.is_member()) else {
            return false;
        };
        let Ok(sealed) = group.seal_ephemeral(&mut ctx.rng, &self.me, ephemeral, ctx.now) else {
            return false;
        };
        let body = SendEphemeral { conversation: convo.id, sealed, extensions: Default::default() };
        Link::tell(ctx, &body);
        true
    }
}

/// Of the readers, those whose receipt covers a text of an epoch in which they were there.
pub(crate) fn covered(
    readers: &[Reader],
    sequence: Sequence,
    epoch: Epoch,
    upto: impl Fn(&ReceiptRow) -> Sequence,
) -> Vec<AccountId> {
    let there = readers.iter().filter(|reader| reader.since <= epoch && sequence <= upto(&reader.receipt));
    there.map(|reader| reader.account).collect()
}
