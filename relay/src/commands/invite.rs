//! `sotto-relay invite ...`

use super::{CommandError, Printer, day};
use clap::Subcommand;
use sotto_relay::config::Config;
use sotto_relay::operator::{CreateInvite, InviteRow, ListInvites, Operator, RevokeInvite, give};

#[derive(Debug, Subcommand)]
pub(crate) enum InviteCommand {
    /// Make an invite link. Works while the relay runs, and while it is stopped.
    Create {
        /// How many accounts may use it.
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// How many days it is good for.
        #[arg(long, default_value_t = 7)]
        days: u64,
    },
    /// List the invites of everybody that have not expired. Their codes are known to nobody any more.
    List,
    /// Take an invite back. Who used it stays.
    Revoke {
        /// Its id, as `invite list` shows it.
        id: String,
    },
}

pub(crate) async fn run(
    config: &Config,
    printer: Printer,
    command: InviteCommand,
) -> Result<(), CommandError> {
    match command {
        InviteCommand::Create { uses, days } => {
            let order = CreateInvite { uses, expires_in: days.saturating_mul(24 * 3600) };
            let made = give(config, order).await?;
            printer.one("invite_created", &made, &made.link)
        }
        InviteCommand::List => list(config, printer).await,
        InviteCommand::Revoke { id } => {
            give(config, RevokeInvite { invite: id.clone() }).await?;
            let row = serde_json::json!({ "invite": id });
            printer.one("invite_revoked", &row, "revoked; who used it stays")
        }
    }
}

async fn list(config: &Config, printer: Printer) -> Result<(), CommandError> {
    let operator = Operator::of::<ListInvites>(config).await?;
    let mut rows: Vec<InviteRow> = Vec::new();
    let mut after = None;
    loop {
        let page = operator.give(ListInvites { after }).await?;
        rows.extend(page.invites);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    operator.close().await?;
    rows.sort_by_key(|row| row.created_ms);
    let head = ["id", "uses left", "registers", "until", "made by", "conversation"];
    printer.many("invite", &rows, head, |row| {
        let id = |id: Option<String>, none: &str| id.unwrap_or_else(|| none.to_owned());
        [
            row.invite.clone(),
            row.uses_left.to_string(),
            if row.registers { "yes" } else { "no" }.to_owned(),
            day(row.expires_ms),
            id(row.by.map(|by| by.to_string()), "the console"),
            id(row.conversation.map(|id| id.to_string()), "-"),
        ]
    })
}
