//! Who is here: what the relay tells of the conversations that this connection follows.
//!
//! It is the relay's word and nothing is kept of it: when the connection ends, nobody is known to be here. Whether
//! this device is shown to the others is a wish of the person that is kept, and told before anything is followed, so
//! that who wants to be invisible never shows for a moment.

use crate::command::Token;
use crate::core::{Core, Ctx};
use crate::event::{Event, Outcome};
use crate::link::Link;
use crate::rows;
use sotto_e2ee::store::{StoreError, Transaction};
use sotto_protocol::body::log::SetPresence;
use sotto_protocol::body::push::{self, WhoIsHere};
use sotto_protocol::ids::{AccountId, ConversationId};
use sotto_protocol::ordered::one_by_one;
use std::collections::{BTreeMap, BTreeSet};

/// The row that is there when the person wants to be invisible.
const INVISIBLE: u8 = 0x57;

/// What is known on this connection.
#[derive(Default)]
pub(crate) struct Presence {
    invisible: bool,
    /// Bounded by the conversations that we are in, and each by what a frame may name.
    here: BTreeMap<ConversationId, Here>,
}

#[derive(Default)]
struct Here {
    count: u32,
    /// `None` when there are too many to name.
    named: Option<BTreeSet<AccountId>>,
}

impl Presence {
    pub(crate) fn load(tx: &Transaction<'_>) -> Result<Self, StoreError> {
        Ok(Self { invisible: tx.get(&[INVISIBLE])?.is_some(), here: BTreeMap::new() })
    }

    /// The connection has ended.
    pub(crate) fn clear(&mut self) {
        self.here.clear();
    }

    pub(crate) fn present(&self, conversation: ConversationId) -> Vec<AccountId> {
        let named = self.here.get(&conversation).and_then(|here| here.named.as_ref());
        named.into_iter().flatten().copied().collect()
    }

    pub(crate) fn count(&self, conversation: ConversationId) -> Option<u32> {
        self.here.get(&conversation).map(|here| here.count)
    }

    pub(crate) const fn is_invisible(&self) -> bool {
        self.invisible
    }
}

impl Core {
    /// Asks to be told, before anything is followed. A relay of before this existed skips it.
    pub(crate) fn announce(&self, ctx: &mut Ctx<'_>) {
        let body = SetPresence { invisible: self.presence.invisible, extensions: Default::default() };
        Link::tell(ctx, &body);
    }

    pub(crate) fn set_invisible(&mut self, ctx: &mut Ctx<'_>, token: Token, invisible: bool) {
        if self.presence.invisible != invisible {
            self.presence.invisible = invisible;
            if invisible {
                rows::put(ctx.tx, vec![INVISIBLE], &());
            } else {
                ctx.tx.delete(vec![INVISIBLE]);
            }
            if self.link.is_ready() {
                self.announce(ctx);
            }
        }
        ctx.done(Some(token), Outcome::Nothing);
    }

    /// The relay says who is here, or who came and went.
    pub(crate) fn told_presence(&mut self, ctx: &mut Ctx<'_>, told: push::Presence) {
        let push::Presence { conversation, count, who, .. } = told;
        if !self.convos.contains_key(&conversation) {
            return;
        }
        let here = self.presence.here.entry(conversation).or_default();
        let counted = std::mem::replace(&mut here.count, count);
        let before = here.named.take().unwrap_or_default();
        let after: BTreeSet<AccountId> = match who {
            WhoIsHere::These(accounts) => one_by_one(accounts),
            WhoIsHere::Changed { came, went } => {
                let mut after = before.clone();
                after.extend(came);
                after.retain(|account| !went.contains(account));
                after
            }
            WhoIsHere::Unnamed => {
                if counted != count {
                    ctx.event(Event::PresentCount { conversation, count });
                }
                return;
            }
        };
        for account in before.symmetric_difference(&after) {
            let here = after.contains(account);
            ctx.event(Event::Presence { conversation, account: *account, here });
        }
        here.named = Some(after);
    }
}
