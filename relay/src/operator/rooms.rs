//! Orders about conversations. The relay knows figures, never what was said.

use super::{Desk, Order, Refused};
use crate::engine::Surveyed;
use serde::{Deserialize, Serialize};
use sotto_protocol::body::conversation::{HistoryPolicy, Kind};
use sotto_protocol::ids::ConversationId;

/// Conversations that are looked at for one answer.
pub(super) const PAGE: usize = 500;

/// Some rooms, in the order in which they were made.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct ListRooms {
    /// Where the last page ended.
    pub from: usize,
    /// Groups and direct conversations too.
    pub all: bool,
}

/// A conversation as the operator may know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomRow {
    /// Its id.
    pub conversation: ConversationId,
    /// `room`, `group` or `direct`.
    pub kind: String,
    /// The public name of a listed room. Other names are between the members.
    pub name: Option<String>,
    /// Who may read the past: `none`, `since-joining` or `all`.
    pub history: String,
    /// Accounts that are members.
    pub members: usize,
    /// Entries that are kept.
    pub entries: u64,
    /// Bytes of them, before the store's own overhead.
    pub stored_bytes: u64,
}

/// Some rooms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomRows {
    /// They.
    pub rooms: Vec<RoomRow>,
    /// Where to go on; `None` at the end.
    pub next: Option<usize>,
}

impl Order for ListRooms {
    type Answer = RoomRows;
    const NAME: &'static str = "room list";

    async fn carry_out(self, desk: &Desk) -> Result<Self::Answer, Refused> {
        let seen = desk.engine.survey(self.from, PAGE).await;
        let next = (seen.len() == PAGE).then(|| self.from.saturating_add(PAGE));
        let wanted = seen.iter().filter(|known| self.all || known.kind == Kind::Room);
        Ok(RoomRows { rooms: wanted.map(row).collect(), next })
    }
}

fn row(known: &Surveyed) -> RoomRow {
    let kind = match known.kind {
        Kind::Direct => "direct",
        Kind::Group => "group",
        Kind::Room => "room",
    };
    let history = match known.history {
        HistoryPolicy::None => "none",
        HistoryPolicy::SinceJoining => "since-joining",
        HistoryPolicy::All => "all",
    };
    RoomRow {
        conversation: known.conversation,
        kind: kind.to_owned(),
        name: known.listed_name.clone(),
        history: history.to_owned(),
        members: known.members,
        entries: known.entries(),
        stored_bytes: known.stored_bytes,
    }
}
