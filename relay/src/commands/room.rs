//! `sotto-relay room ...`

use super::{CommandError, Printer};
use clap::Subcommand;
use sotto_relay::config::Config;
use sotto_relay::operator::{ListRooms, Operator, RoomRow};

#[derive(Debug, Subcommand)]
pub(crate) enum RoomCommand {
    /// List rooms with what they keep, the largest first. What is said in them nobody here can read.
    List {
        /// Groups and direct conversations too.
        #[arg(long)]
        all: bool,
    },
}

pub(crate) async fn run(config: &Config, printer: Printer, command: RoomCommand) -> Result<(), CommandError> {
    let RoomCommand::List { all } = command;
    let operator = Operator::of::<ListRooms>(config).await?;
    let mut rows: Vec<RoomRow> = Vec::new();
    let mut from = Some(0);
    while let Some(place) = from {
        let page = operator.give(ListRooms { from: place, all }).await?;
        rows.extend(page.rooms);
        from = page.next;
    }
    operator.close().await?;
    rows.sort_by_key(|row| std::cmp::Reverse(row.stored_bytes));
    let head = ["id", "kind", "name", "history", "members", "entries", "bytes"];
    printer.many("room", &rows, head, |row| {
        [
            row.conversation.to_string(),
            row.kind.clone(),
            row.name.clone().unwrap_or_else(|| "-".to_owned()),
            row.history.clone(),
            row.members.to_string(),
            row.entries.to_string(),
            row.stored_bytes.to_string(),
        ]
    })
}
