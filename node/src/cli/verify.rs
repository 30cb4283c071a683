//! `verify`: comparing identities, and refusing to go on when a verified one has changed.

use super::args::Global;
use super::conversations::plain_username;
use super::exit::{Exit, Failed};
use super::open::{self, RunningNode};
use super::output::Printer;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde_json::json;
use sotto_e2ee::identity::safety::{Party, qr_text, read_qr_text};
use sotto_node_core::command::{Command, Who};
use sotto_node_core::format::harmless_line;
use sotto_node_core::view::ConversationView;

/// What `verify` takes.
#[derive(clap::Args)]
pub(crate) struct Verify {
    /// Whom
    pub(crate) user: String,
    /// The numbers were compared and are the same
    #[arg(long)]
    pub(crate) confirm: bool,
    /// What the other one's QR code reads as; verifies at once if it is right
    #[arg(long, value_name = "TEXT")]
    pub(crate) scanned: Option<String>,
}

pub(crate) async fn verify(global: &Global, printer: &Printer, args: Verify) -> Result<(), Failed> {
    let username = plain_username(&args.user);
    let node = open::node(global, printer, true).await?;
    open::finishing(node, async |node| {
        open::caught_up_if_reachable(node, printer).await?;
        let who = Who::Username(username.clone());
        let contact = node.ask(move |client| client.contact(&who)).await??;
        let shown = harmless_line(&username);
        let unknown = || {
            let sentence = format!("this device has not met {shown} yet: write first (sotto send @{shown}), then compare");
            Failed::new(Exit::NotFound, "unknown_account", sentence)
        };
        let contact = contact.ok_or_else(unknown)?;
        let identity_key = contact.identity_key.ok_or_else(unknown)?;
        if let Some(text) = &args.scanned {
            let party = read_qr_text(text).map_err(|error| Failed::usage(error.to_string()))?;
            if party != (Party { account: contact.account, identity_key }) {
                let sentence = format!(
                    "THIS IS NOT THE IDENTITY that {shown} shows to this device. Somebody is in between, or the code \
                     is of another person. Nothing was verified"
                );
                return Err(Failed::new(Exit::Identity, "identity_differs", sentence));
            }
        }
        let number = contact.safety_number.unwrap_or_default();
        if args.confirm || args.scanned.is_some() {
            node.command(Command::Verify { who: Who::Account(contact.account), identity_key }).await?;
            node.identity_was_verified(contact.account).await?;
            let object = json!({ "type": "verified", "username": username, "account": contact.account });
            return printer.result(&object, &format!("{shown} is verified: you are told loudly if that identity changes."));
        }
        let own = node
            .ask(|client| {
                let device = client.device();
                qr_text(&Party { account: device.account(), identity_key: device.identity_key() })
            })
            .await?;
        let changed = node.changed_identities().await?.contains(&contact.account);
        let object = json!({
            "type": "safety_number",
            "username": username,
            "account": contact.account,
            "safety_number": number,
            "verified": contact.verified,
            "changed_since_verified": changed,
            "own_qr_text": own,
        });
        let standing = match (contact.verified, changed) {
            (_, true) => "CHANGED since you verified it",
            (true, false) => "verified",
            (false, false) => "not verified yet",
        };
        let lines = format!(
            "The safety number of you and {shown} ({standing}):\n\n{}\n\n\
             Compare it with {shown} face to face or in a call. If all digits are the same:\n\
             \x20 sotto verify {shown} --confirm\n\n\
             Or let {shown} scan this code of yours and run: sotto verify YOU --scanned 'TEXT'\n\n{}\n{own}",
            in_groups(&number),
            drawn(&own)?
        );
        printer.result(&object, &lines)
    })
    .await
}

/// Stops before something goes to a member whose verified identity has changed.
pub(crate) async fn refuse_if_changed(
    node: &RunningNode,
    view: &ConversationView,
    anyway: bool,
) -> Result<(), Failed> {
    if anyway {
        return Ok(());
    }
    let changed = node.changed_identities().await?;
    match view.members.iter().find(|member| changed.contains(&member.account)) {
        None => Ok(()),
        Some(member) => {
            let name = harmless_line(&member.username);
            let sentence = format!(
                "NOTHING WAS SENT: the identity of {name} has changed since you verified it. Compare again with \
                 `sotto verify {name}`, then `--confirm`; or send with --anyway"
            );
            Err(Failed::new(Exit::Identity, "identity_changed", sentence))
        }
    }
}

/// 60 digits as three rows of four groups of five, however they came.
fn in_groups(number: &str) -> String {
    let digits: Vec<char> = number.chars().filter(char::is_ascii_digit).collect();
    let groups: Vec<String> = digits.chunks(5).map(|group| group.iter().collect()).collect();
    groups.chunks(4).map(|row| format!("  {}", row.join(" "))).collect::<Vec<_>>().join("\n")
}

/// A QR code of half blocks, light on dark so that it scans from a dark terminal.
fn drawn(text: &str) -> Result<String, Failed> {
    let code = QrCode::new(text).map_err(|error| Failed::internal(format!("no QR code: {error}")))?;
    Ok(code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_safety_number_is_shown_in_three_rows_of_four_groups() {
        let shown = in_groups(&"12345".repeat(12));
        assert_eq!(shown.lines().count(), 3);
        assert_eq!(shown.lines().next(), Some("  12345 12345 12345 12345"));
    }

    #[test]
    fn the_drawn_code_is_square_and_made_of_blocks() {
        let text = format!("sotto-verify:1:{}:{}", "ab".repeat(16), "cd".repeat(32));
        let drawn = drawn(&text).expect("it fits");
        let width = drawn.lines().next().map_or(0, |line| line.chars().count());
        assert!(drawn.lines().all(|line| line.chars().count() == width));
        assert!(drawn.lines().count() * 2 >= width);
        assert!(drawn.chars().all(|c| " \n▀▄█".contains(c)));
    }
}
