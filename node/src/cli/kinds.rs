//! `edit`, `delete`, `react`, `pin`, `unpin`, `timer`, `role`.

use super::args::Global;
use super::conversations::plain_username;
use super::exit::Failed;
use super::output::Printer;
use super::{name, open};
use clap::ValueEnum;
use serde_json::json;
use sotto_node::after::After;
use sotto_node_core::command::{Command, Who};
use sotto_node_core::event::Outcome;
use sotto_node_core::format::harmless_line;
use sotto_node_core::json::role_name;
use sotto_protocol::body::conversation::Role;
use sotto_protocol::ids::{ConversationId, Sequence};

/// What `edit` takes.
#[derive(clap::Args)]
pub(crate) struct Edit {
    /// The conversation
    pub(crate) name: String,
    /// Which text: the `#` number that `history` prints
    pub(crate) seq: u64,
    /// The new text
    pub(crate) text: String,
}

/// What `delete`, `pin` and `unpin` take.
#[derive(clap::Args)]
pub(crate) struct Target {
    /// The conversation
    pub(crate) name: String,
    /// Which text: the `#` number that `history` prints
    pub(crate) seq: u64,
}

/// What `react` takes.
#[derive(clap::Args)]
pub(crate) struct React {
    /// The conversation
    pub(crate) name: String,
    /// Which text: the `#` number that `history` prints
    pub(crate) seq: u64,
    /// One emoji
    pub(crate) emoji: String,
    /// Take it off
    #[arg(long)]
    pub(crate) off: bool,
}

/// What `timer` takes.
#[derive(clap::Args)]
pub(crate) struct Timer {
    /// The conversation
    pub(crate) name: String,
    /// As 30s, 5m, 8h, 7d; or off
    pub(crate) time: After,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum RoleArg {
    /// Reads and writes
    Member,
    /// Also removes members, deletes texts of others, makes links
    Moderator,
    /// Also changes roles
    Owner,
}

impl From<RoleArg> for Role {
    fn from(arg: RoleArg) -> Self {
        match arg {
            RoleArg::Member => Self::Member,
            RoleArg::Moderator => Self::Moderator,
            RoleArg::Owner => Self::Owner,
        }
    }
}

/// What `role` takes.
#[derive(clap::Args)]
pub(crate) struct RoleArgs {
    /// The conversation
    pub(crate) name: String,
    /// Whose
    pub(crate) user: String,
    /// The new role
    pub(crate) role: RoleArg,
}

pub(crate) async fn edit(global: &Global, printer: &Printer, args: Edit) -> Result<(), Failed> {
    let Edit { name, seq, text } = args;
    does(global, printer, &name, "Edited.", |conversation| Command::Edit {
        conversation,
        target: Sequence(seq),
        text,
    })
    .await
}

pub(crate) async fn delete(global: &Global, printer: &Printer, args: Target) -> Result<(), Failed> {
    let target = Sequence(args.seq);
    let done = "Deleted here, and on every device that hears of it.";
    does(global, printer, &args.name, done, |conversation| Command::Delete { conversation, target }).await
}

pub(crate) async fn react(global: &Global, printer: &Printer, args: React) -> Result<(), Failed> {
    let React { name, seq, emoji, off } = args;
    does(global, printer, &name, "Done.", |conversation| Command::React {
        conversation,
        target: Sequence(seq),
        emoji,
        on: !off,
    })
    .await
}

pub(crate) async fn pin(global: &Global, printer: &Printer, args: Target, on: bool) -> Result<(), Failed> {
    let target = Sequence(args.seq);
    let done = if on { "Pinned." } else { "Unpinned." };
    does(global, printer, &args.name, done, |conversation| Command::Pin { conversation, target, on }).await
}

pub(crate) async fn timer(global: &Global, printer: &Printer, args: Timer) -> Result<(), Failed> {
    let seconds = args.time.0;
    let done = match seconds {
        Some(seconds) => format!("Texts from now on disappear after {seconds} seconds."),
        None => "Texts from now on stay.".to_owned(),
    };
    does(global, printer, &args.name, &done, |conversation| Command::SetTimer { conversation, seconds }).await
}

/// Carries out a command that ends as an entry of the log.
async fn does(
    global: &Global,
    printer: &Printer,
    name: &str,
    done: &str,
    command: impl FnOnce(ConversationId) -> Command,
) -> Result<(), Failed> {
    let node = open::node(global, printer, true).await?;
    open::finishing(node, async |node| {
        open::caught_up(node).await?;
        let view = name::conversation(node, name).await?;
        match node.command(command(view.conversation)).await? {
            Outcome::Sent { conversation, number, sequence, time } => {
                let object = json!({
                    "type": "sent",
                    "conversation": conversation,
                    "number": number,
                    "sequence": sequence,
                    "time_ms": time,
                });
                printer.result(&object, done)
            }
            other => Err(Failed::internal(format!("an unexpected outcome: {other:?}"))),
        }
    })
    .await
}

pub(crate) async fn role(global: &Global, printer: &Printer, args: RoleArgs) -> Result<(), Failed> {
    let node = open::node(global, printer, true).await?;
    open::finishing(node, async |node| {
        open::caught_up(node).await?;
        let conversation = name::conversation(node, &args.name).await?.conversation;
        let username = plain_username(&args.user);
        let role = Role::from(args.role);
        open::answered(node, Command::SetRole { conversation, who: Who::Username(username.clone()), role })
            .await?;
        let role = role_name(role);
        let object =
            json!({ "type": "role", "conversation": conversation, "username": username, "role": role });
        printer.result(&object, &format!("{} is {role} now.", harmless_line(&username)))
    })
    .await
}
