//! Views for people, built from rows and memory.

use crate::client::Contact;
use crate::core::{Convo, Core};
use crate::rows::{self, HistoryRow};
use crate::view::{ConversationView, MemberView, Message};
use sotto_e2ee::conversation::Conversation;
use sotto_e2ee::identity::safety::{Party, qr_text, safety_number};
use sotto_e2ee::pins;
use sotto_e2ee::store::{StoreError, Transaction};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Sequence};
use std::collections::BTreeMap;

impl Core {
    pub(crate) fn message(
        &self,
        conversation: ConversationId,
        sequence: Sequence,
        row: HistoryRow,
    ) -> Message {
        Message {
            conversation,
            sequence,
            time: row.time,
            sent_at: row.sent_at,
            account: row.account,
            username: self.name_of(row.account),
            device: row.device,
            number: row.number,
            own: row.account == self.me.account(),
            line: row.line,
            origin: row.origin,
        }
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
            last: last.map(|last| self.message(convo.id, row.last_line, last)),
            queued: convo.outbox.len(),
            members,
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
