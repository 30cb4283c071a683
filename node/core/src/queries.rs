//! Views for people, built from rows and memory.

use crate::client::Contact;
use crate::core::{Convo, Core};
use crate::kinds::PINS_MAX;
use crate::kinds::receipts::{Reader, covered};
use crate::kinds::settle::{self, AboutRow};
use crate::rows::{self, HistoryRow};
use crate::view::{ConversationView, Line, MemberView, Message, Quote, Reaction};
use sotto_e2ee::conversation::Conversation;
use sotto_e2ee::identity::safety::{Party, qr_text, safety_number};
use sotto_e2ee::pins;
use sotto_e2ee::store::{StoreError, Transaction};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Sequence};
use std::collections::BTreeMap;

impl Core {
    /// Lines of a conversation as people see them.
    pub(crate) fn messages(
        &self,
        tx: &Transaction<'_>,
        id: ConversationId,
        rows: Vec<(Sequence, HistoryRow)>,
    ) -> Result<Vec<Message>, StoreError> {
        let (Some((first, _)), Some((last, _))) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
        let mut about = settle::about_between(tx, id, *first, *last)?;
        let readers = self.convos.get(&id).map_or(Ok(Vec::new()), |convo| self.readers(tx, convo))?;
        rows.into_iter()
            .map(|(sequence, row)| {
                let about = about.remove(&sequence.0).unwrap_or_default();
                self.message(tx, id, (sequence, row), about, &readers)
            })
            .collect()
    }

    /// One line of a conversation.
    pub(crate) fn message_of(
        &self,
        tx: &Transaction<'_>,
        convo: &Convo,
        sequence: Sequence,
        row: HistoryRow,
    ) -> Result<Message, StoreError> {
        let about = settle::about(tx, convo.id, sequence)?;
        let readers = if row.account == self.me.account() { self.readers(tx, convo)? } else { Vec::new() };
        self.message(tx, convo.id, (sequence, row), about, &readers)
    }

    fn message(
        &self,
        tx: &Transaction<'_>,
        conversation: ConversationId,
        (sequence, row): (Sequence, HistoryRow),
        about: AboutRow,
        readers: &[Reader],
    ) -> Result<Message, StoreError> {
        let own = row.account == self.me.account();
        let readers = if own && row.line.is_said() { readers } else { &[] };
        let reply = about.reply_to.map(|target| self.quote(tx, conversation, target)).transpose()?;
        let reactions = about.reactions.into_iter();
        let is_file = matches!(row.line, Line::File { .. });
        let preview = if is_file { settle::preview(tx, conversation, sequence)? } else { None };
        Ok(Message {
            conversation,
            sequence,
            time: row.time,
            sent_at: row.sent_at,
            account: row.account,
            username: self.name_of(row.account),
            device: row.device,
            number: row.number,
            own,
            line: row.line,
            preview,
            origin: row.origin,
            reply,
            edited_at: about.edited_at,
            reactions: reactions.map(|(emoji, accounts)| Reaction { emoji, accounts }).collect(),
            pinned: about.pinned.is_some(),
            mentions: about.mentions,
            expires_at: about.expires_at,
            read_by: covered(readers, sequence, row.epoch, |receipt| receipt.read),
            delivered_to: covered(readers, sequence, row.epoch, |receipt| receipt.delivered),
        })
    }

    /// What a text answers, as it is now.
    fn quote(
        &self,
        tx: &Transaction<'_>,
        id: ConversationId,
        sequence: Sequence,
    ) -> Result<Quote, StoreError> {
        let row: Option<HistoryRow> = rows::get(tx, &rows::history_key(id, sequence))?;
        let account = row.as_ref().map(|row| row.account);
        let said = row.as_ref().and_then(|row| row.line.words());
        let excerpt = said.map(|words| excerpt(&words)).unwrap_or_default();
        let username = account.map(|account| self.name_of(account)).unwrap_or_default();
        Ok(Quote { sequence, account, username, excerpt })
    }

    pub(crate) fn view(&self, tx: &Transaction<'_>, convo: &Convo) -> Result<ConversationView, StoreError> {
        let row = convo.row();
        let last: Option<HistoryRow> = rows::get(tx, &rows::history_key(convo.id, row.last_line))?;
        let members = self.members_of(tx, convo)?;
        let group = convo.group.as_ref().filter(|_| row.joining.is_none());
        Ok(ConversationView {
            conversation: convo.id,
            kind: row.kind,
            history: row.history,
            title: self.title(convo, &members),
            name: row.name.clone(),
            standing: row.standing,
            suite: group.map(Conversation::suite),
            epoch: group.map(Conversation::epoch),
            cursor: convo.cursor(),
            unread: row.unread,
            last: last.map(|last| self.message_of(tx, convo, row.last_line, last)).transpose()?,
            queued: convo.outbox.len(),
            members,
            timer: convo.kinds().timer.and_then(|(_, seconds)| seconds),
            pins: settle::pins(tx, convo.id, PINS_MAX)?,
        })
    }

    fn title(&self, convo: &Convo, members: &[MemberView]) -> String {
        let row = convo.row();
        if !row.name.is_empty() {
            return row.name.clone();
        }
        if let Some(listed) = &row.listed_name {
            return listed.clone();
        }
        let peer = row.peer.map(|peer| self.name_of(peer)).filter(|name| !name.is_empty());
        peer.unwrap_or_else(|| {
            let me = self.me.account();
            let names = members.iter().filter(|member| member.account != me);
            names.take(3).map(|member| member.username.as_str()).collect::<Vec<_>>().join(", ")
        })
    }

    fn members_of(&self, tx: &Transaction<'_>, convo: &Convo) -> Result<Vec<MemberView>, StoreError> {
        let mut devices: BTreeMap<AccountId, Vec<DeviceId>> = BTreeMap::new();
        for member in convo.members() {
            devices.entry(member.account).or_default().push(member.device);
        }
        let role = |account: AccountId| {
            convo.row().roles.iter().find(|(of, _)| *of == account).map(|(_, role)| *role)
        };
        devices
            .into_iter()
            .map(|(account, devices)| {
                let verified = pins::get(tx, account)?.is_some_and(|pin| pin.verified);
                let username = self.name_of(account);
                Ok(MemberView { account, username, role: role(account), devices, verified })
            })
            .collect()
    }

    pub(crate) fn contact_of(
        &self,
        tx: &Transaction<'_>,
        account: AccountId,
    ) -> Result<Option<Contact>, StoreError> {
        let me = Party { account: self.me.account(), identity_key: self.me.identity_key() };
        if account == me.account {
            return Ok(Some(Contact {
                account,
                username: self.username.clone(),
                identity_key: Some(me.identity_key),
                verified: true,
                safety_number: None,
                qr_text: Some(qr_text(&me)),
            }));
        }
        let pin = pins::get(tx, account)?;
        if pin.is_none() && !self.accounts.contains_key(&account) {
            return Ok(None);
        }
        let party = pin.as_ref().map(|pin| Party { account, identity_key: pin.identity_key });
        Ok(Some(Contact {
            account,
            username: self.name_of(account),
            identity_key: pin.as_ref().map(|pin| pin.identity_key),
            verified: pin.is_some_and(|pin| pin.verified),
            safety_number: party.as_ref().map(|party| safety_number(&me, party)),
            qr_text: party.as_ref().map(qr_text),
        }))
    }

    /// An account by its user name, among those that are known here.
    pub(crate) fn known_account(&self, username: &str) -> Option<AccountId> {
        if username == self.username {
            return Some(self.me.account());
        }
        self.accounts.iter().find(|(_, name)| *name == username).map(|(account, _)| *account)
    }
}

/// Characters of a quoted text that are shown: a line of a wide terminal.
const EXCERPT_CHARS_MAX: usize = 100;

/// The first line of a text, shortened.
fn excerpt(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    let more = line.len() < text.trim().len() || line.chars().nth(EXCERPT_CHARS_MAX).is_some();
    let mut short: String = line.chars().take(EXCERPT_CHARS_MAX).collect();
    if more {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_the_start_of_the_first_line() {
        assert_eq!(excerpt("hello"), "hello");
        assert_eq!(excerpt("\n  hello \nworld"), "hello…");
        assert_eq!(excerpt(&"é".repeat(101)), format!("{}…", "é".repeat(100)));
        assert_eq!(excerpt(""), "");
    }
}
