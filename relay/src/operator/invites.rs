//! Orders about invites.

use super::{Desk, Order, Refused};
use serde::{Deserialize, Serialize};
use sotto_protocol::ids::{AccountId, ConversationId};
use sotto_signaling_core::invite::{Invite, InviteId, InviteWish};

/// Makes an invite to register: this is how the first account gets in.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct CreateInvite {
    /// How many accounts may use it.
    pub uses: u32,
    /// How many seconds it is good for.
    pub expires_in: u64,
}

/// The invite that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedInvite {
    /// The whole link. The relay keeps a hash of its code; nobody can show it again.
    pub link: String,
    /// The invite.
    #[serde(flatten)]
    pub invite: InviteRow,
}

impl Order for CreateInvite {
    type Answer = CreatedInvite;
    const NAME: &'static str = "invite create";
    const IN_AN_EMPTY_FOLDER: bool = true;

    async fn carry_out(self, desk: &Desk) -> Result<Self::Answer, Refused> {
        let wish =
            InviteWish { conversation: None, uses: Some(self.uses), expires_in: Some(self.expires_in) };
        let made = desk.signaling.make_operator_invite(wish).await?;
        Ok(CreatedInvite { link: made.link.to_string(), invite: InviteRow::of(&made.invite) })
    }
}

/// An invite without its code, which the relay does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteRow {
    /// Its id, which `invite revoke` takes.
    pub invite: String,
    /// Who made it; `None` for the console.
    pub by: Option<AccountId>,
    /// The conversation that it admits to.
    pub conversation: Option<ConversationId>,
    /// Whether it lets people register where an invite is needed for that.
    pub registers: bool,
    /// How many more accounts may use it.
    pub uses_left: u32,
    /// When it was made.
    pub created_ms: u64,
    /// When it ends.
    pub expires_ms: u64,
}

impl InviteRow {
    fn of(invite: &Invite) -> Self {
        Self {
            invite: invite.id.to_string(),
            by: invite.by,
            conversation: invite.conversation,
            registers: invite.registers,
            uses_left: invite.uses_left,
            created_ms: invite.created.0,
            expires_ms: invite.expires.0,
        }
    }
}

/// Some invites of everybody that live.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListInvites {
    /// Where the last page ended: a maker and an invite.
    pub after: Option<(AccountId, String)>,
}

/// Some invites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteRows {
    /// They.
    pub invites: Vec<InviteRow>,
    /// Where to go on; `None` at the end.
    pub next: Option<(AccountId, String)>,
}

impl Order for ListInvites {
    type Answer = InviteRows;
    const NAME: &'static str = "invite list";

    async fn carry_out(self, desk: &Desk) -> Result<Self::Answer, Refused> {
        let after = self.after.map(|(maker, invite)| Ok::<_, Refused>((maker, id_of(&invite)?)));
        let page = desk.signaling.all_invites(after.transpose()?).await?;
        Ok(InviteRows {
            invites: page.invites.iter().map(InviteRow::of).collect(),
            next: page.next.map(|(maker, invite)| (maker, invite.to_string())),
        })
    }
}

/// Takes an invite back, whoever made it. Who used it stays.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RevokeInvite {
    /// Its id.
    pub invite: String,
}

impl Order for RevokeInvite {
    type Answer = ();
    const NAME: &'static str = "invite revoke";

    async fn carry_out(self, desk: &Desk) -> Result<Self::Answer, Refused> {
        Ok(desk.signaling.revoke_invite(id_of(&self.invite)?).await?)
    }
}

fn id_of(text: &str) -> Result<InviteId, Refused> {
    text.parse().map_err(|_| {
        Refused(format!("{text:?} is no id of an invite, which is 32 hex digits; `invite list` shows them"))
    })
}
