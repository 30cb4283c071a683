//! `register`, `login`, `recover`, `logout`, `whoami`, `devices`.

use super::args::{DeviceAction, Devices, Global, Login, Recover, Register};
use super::exit::{Exit, Failed};
use super::open::{self, NewStore, RunningNode};
use super::output::Printer;
use super::prompt;
use serde_json::json;
use sotto_node::node::{self, Credentials, NewAccount, Place, SetupError, Start, Status};
use sotto_node::profile::Profile;
use sotto_node::secret;
use sotto_node::store::SqliteStore;
use sotto_node_core::client::Client;
use sotto_node_core::command::Command;
use sotto_node_core::format::harmless_line;
use sotto_protocol::invite::{Invite, InviteCode};
use std::time::Duration;

/// How long the first start may take: key packages, the vault, joining conversations.
const FIRST_START: Duration = Duration::from_secs(60);

pub(crate) async fn register(global: &Global, printer: &Printer, args: Register) -> Result<(), Failed> {
    let place = place(global, global.relay.clone(), args.device_name, args.invite)?;
    let password = prompt::password(args.password.password_file.as_deref(), true)?;
    let account = NewAccount { username: &args.username, email: &args.email, password: &password };
    let mut new = open::new_store(global, printer).await?;
    let start = node::register(new.take(), &place, account).await;
    let node = begin_new(global, printer, new, start).await?;
    open::finishing(node, async |node| {
        settle(node, printer).await?;
        let words = node.ask(|client| client.recovery_key().to_words()).await?;
        let (account, device) = ids(node).await?;
        let object = json!({
            "type": "registered",
            "username": args.username,
            "account": account,
            "device": device,
            "recovery_words": *words,
        });
        let lines = format!(
            "Welcome, {}. Your recovery words, shown this once:\n\n{}\n\n\
             Write them down and keep them away from this machine: they restore your identity and your history on \
             another device, and nobody can give them to you again. Next:\n\
             \x20 sotto send @SOMEBODY 'hello'     write to a user of this relay\n\
             \x20 sotto create NAME USER...        make a group\n\
             \x20 sotto invite                     print a link that brings a friend here",
            args.username,
            in_rows(&words)
        );
        printer.result(&object, &lines)
    })
    .await
}

pub(crate) async fn login(global: &Global, printer: &Printer, args: Login) -> Result<(), Failed> {
    let profile = open::profile(global)?;
    if profile.exists() {
        let store = open::store(global).await?;
        let session = node::Session::load(&store)?;
        match (session, Client::open(store, open::settings(global), open::now())) {
            (Some(session), Ok(client)) => {
                let name = args.username.unwrap_or_else(|| session.username.clone());
                let password = prompt::password(args.password.password_file.as_deref(), false)?;
                let who = Credentials { name: &name, password: &password };
                let start = node::sign_in_again(client, session, global.relay.as_ref(), who).await?;
                return signed_in(printer, start).await;
            }
            // A registration was interrupted before this device had its keys: go on below.
            (_, Err(sotto_node_core::client::OpenError::Empty)) => {}
            (_, Err(error)) => return Err(error.into()),
            (None, Ok(_)) => return Err(Failed::internal("the store has keys and no session")),
        }
    }
    let name = args
        .username
        .ok_or_else(|| Failed::usage("there is no account on this device yet: name one with --username"))?;
    let place = place(global, global.relay.clone(), args.device_name, None)?;
    let password = prompt::password(args.password.password_file.as_deref(), false)?;
    let mut new = open::new_store(global, printer).await?;
    let start = node::sign_in(new.take(), &place, Credentials { name: &name, password: &password }).await;
    let node = begin_new(global, printer, new, start).await?;
    open::finishing(node, async |node| {
        settle(node, printer).await?;
        let words = node.ask(|client| client.recovery_key().to_words()).await?;
        let object = json!({ "type": "signed_in", "username": name, "recovery_words": *words });
        let lines = format!(
            "Signed in as {name}, with this device as the first. Your recovery words, shown this once:\n\n{}\n\n\
             Write them down: they restore your identity and history on another device.",
            in_rows(&words)
        );
        printer.result(&object, &lines)
    })
    .await
}

async fn signed_in(printer: &Printer, start: Start<SqliteStore>) -> Result<(), Failed> {
    let username = start.session.username.clone();
    let node = open::begin(start, printer)?;
    open::finishing(node, async |node| {
        open::caught_up(node).await?;
        let object = json!({ "type": "signed_in", "username": username });
        printer.result(&object, &format!("Signed in as {username}."))
    })
    .await
}

pub(crate) async fn recover(global: &Global, printer: &Printer, args: Recover) -> Result<(), Failed> {
    let password = prompt::password(args.password.password_file.as_deref(), false)?;
    let words = prompt::recovery_words(args.words_file.as_deref())?;
    let who = Newcomer { username: &args.username, password: &password, words: &words };
    let node = further_device(global, printer, who, None, args.device_name).await?;
    open::finishing(node, async |node| {
        let count = node.ask(Client::conversations).await??.len();
        let (account, device) = ids(node).await?;
        let object = json!({ "type": "recovered", "account": account, "device": device, "conversations": count });
        let lines = format!(
            "This is a device of {} now, in {count} conversations. History comes from the archive: sotto history NAME",
            args.username
        );
        printer.result(&object, &lines)
    })
    .await
}

pub(crate) async fn logout(global: &Global, printer: &Printer) -> Result<(), Failed> {
    let node = open::node(global, printer, true).await?;
    // Whatever waits in the outbox goes out first, if it can.
    if open::ready(&node).await.is_ok() {
        node.wait_idle(Duration::from_secs(10)).await;
    }
    let told = node.sign_out().await;
    node.stop().await;
    if let Err(error) = told {
        printer.remark(&format!(
            "The relay could not be told ({error}); its side of the session ends by itself."
        ));
    }
    let lines = "Signed out. Keys and history stay on this device; `sotto login` signs in again.";
    printer.result(&json!({ "type": "signed_out" }), lines)
}

pub(crate) async fn whoami(global: &Global, printer: &Printer) -> Result<(), Failed> {
    let store = open::store(global).await?;
    let holder = secret::read_holder(&open::profile(global)?)?;
    let start = node::resume(store, open::settings(global), true)?;
    let session = start.session.clone();
    let link = session.link().map_err(|error| Failed::usage(error.to_string()))?;
    let node = open::begin(start, printer)?;
    open::finishing(node, async |node| {
        let (account, device) = ids(node).await?;
        let status = node.wait(Duration::from_secs(3), |now| now.is_ready() || matches!(now, Status::Unreachable(_))).await;
        let standing = match &status {
            Status::Ready(carrier) | Status::Synchronised(carrier) => format!("connected over {carrier}"),
            Status::SignedOut(_) => "signed out; run `sotto login`".to_owned(),
            Status::WrongFingerprint(_) => "WRONG FINGERPRINT".to_owned(),
            Status::Unreachable(why) => format!("unreachable: {why}"),
            _ => "not connected".to_owned(),
        };
        let stats = node.ask(Client::stats).await??;
        let object = json!({
            "type": "whoami",
            "username": session.username,
            "email": session.email,
            "account": account,
            "device": device,
            "relay": link.to_string(),
            "status": standing,
            "store_key": holder.to_string(),
            "decryption_failures": stats.failures,
            "repairs": stats.repairs,
        });
        let count = |counters: &std::collections::BTreeMap<String, u64>| counters.values().sum::<u64>();
        let lines = format!(
            "{} <{}>\naccount {account}\ndevice  {device}\nrelay   {link}\nstatus  {standing}\nstore   key held by {holder}\n\
             health  {} messages were not readable at once, {} repaired",
            harmless_line(&session.username),
            harmless_line(&session.email),
            count(&stats.failures),
            count(&stats.repairs)
        );
        printer.result(&object, &lines)
    })
    .await
}

/// Which accounts are on this machine, by the names of their profiles. None of them is opened.
pub(crate) fn profiles(global: &Global, printer: &Printer) -> Result<(), Failed> {
    let home = open::home(global)?;
    let all = Profile::all(&home)?;
    if all.is_empty() {
        let none =
            format!("(no profiles in {} yet; make one: sotto register --profile NAME ...)", home.display());
        printer.remark(&none);
    }
    for profile in all {
        let key = secret::read_holder(&profile).map(|holder| holder.to_string());
        let in_use_by = profile.in_use_by();
        let folder = profile.folder().display().to_string();
        let object = json!({
            "type": "profile",
            "profile": profile.name(),
            "folder": folder,
            "store_key": key.as_ref().ok(),
            "in_use_by": in_use_by,
            "chosen": profile.name() == global.profile,
        });
        let mark = if profile.name() == global.profile { "*" } else { " " };
        let key = key.map_or_else(|error| error.to_string(), |holder| format!("key held by {holder}"));
        let used = in_use_by.map_or_else(String::new, |who| format!(", in use by {who}"));
        printer.result(&object, &format!("{mark} {}  {folder}  {key}{used}", profile.name()))?;
    }
    Ok(())
}

pub(crate) async fn devices(global: &Global, printer: &Printer, args: Devices) -> Result<(), Failed> {
    let node = open::node(global, printer, true).await?;
    open::finishing(node, async |node| {
        open::ready(node).await?;
        let access = node.access_token().await?;
        let (_, own) = ids(node).await?;
        match args.action {
            None => {
                for device in node.api().devices(&access).await? {
                    let this = device.device_id.to_string() == own;
                    let object = json!({
                        "type": "device",
                        "device": device.device_id,
                        "name": device.name,
                        "created_at": device.created_at,
                        "this": this,
                    });
                    let mark = if this { "  (this one)" } else { "" };
                    let lines = format!("{}  {}{mark}", device.device_id, harmless_line(&device.name));
                    printer.result(&object, &lines)?;
                }
                Ok(())
            }
            Some(DeviceAction::Remove { id }) if id.to_string() == own => {
                Err(Failed::usage("this is the device you are using; `sotto logout` ends its session"))
            }
            Some(DeviceAction::Remove { id }) => {
                // First out of every conversation, while the account's list still shows whose it is.
                open::caught_up(node).await?;
                open::answered(node, Command::RemoveDevice(id)).await?;
                node.api().remove_device(&access, id).await?;
                printer.result(&json!({ "type": "device_removed", "device": id }), &format!("Removed {id}."))
            }
        }
    })
    .await
}

/// Who makes this machine a further device.
pub(crate) struct Newcomer<'a> {
    pub(crate) username: &'a str,
    pub(crate) password: &'a str,
    /// The account's recovery words.
    pub(crate) words: &'a str,
}

/// Makes this machine a further device, at the relay that was named or at this one; gives its node, settled.
pub(crate) async fn further_device(
    global: &Global,
    printer: &Printer,
    who: Newcomer<'_>,
    known_relay: Option<Invite>,
    device_name: Option<String>,
) -> Result<RunningNode, Failed> {
    let place = place(global, global.relay.clone().or(known_relay), device_name, None)?;
    let mut new = open::new_store(global, printer).await?;
    let credentials = Credentials { name: who.username, password: who.password };
    let start = node::recover(new.take(), &place, credentials, who.words).await;
    let node = begin_new(global, printer, new, start).await?;
    match settle(&node, printer).await {
        Ok(()) => Ok(node),
        Err(failed) => {
            open::finish(&node).await;
            Err(failed)
        }
    }
}

/// Starts what was just set up, or removes what a refused attempt left behind.
async fn begin_new(
    global: &Global,
    printer: &Printer,
    new: NewStore,
    start: Result<Start<SqliteStore>, SetupError>,
) -> Result<RunningNode, Failed> {
    match start {
        Ok(start) => open::begin(start, printer),
        Err(error) => {
            new.undo(global).await;
            Err(error.into())
        }
    }
}

/// Waits until the relay has the device, its key packages and its vault.
async fn settle(node: &RunningNode, printer: &Printer) -> Result<(), Failed> {
    open::ready(node).await?;
    if !node.wait_idle(FIRST_START).await {
        if let Some(failed) = super::exit::of_status(&node.status()) {
            return Err(failed);
        }
        printer.remark("The relay is slow; what is left is finished by the next command.");
    }
    Ok(())
}

async fn ids(node: &RunningNode) -> Result<(String, String), Failed> {
    Ok(node
        .ask(|client| (client.device().account().to_string(), client.device().device().to_string()))
        .await?)
}

fn place(
    global: &Global,
    relay: Option<Invite>,
    device_name: Option<String>,
    code: Option<InviteCode>,
) -> Result<Place, Failed> {
    let link = relay.ok_or_else(|| {
        Failed::new(
            Exit::Usage,
            "no_relay",
            "which relay? Give its link, as the relay prints it: --relay 'sotto://host:port#FINGERPRINT'",
        )
    })?;
    let link = Invite { code: code.or_else(|| link.code.clone()), ..link };
    Ok(Place { link, device_name: device_name.unwrap_or_else(host_name), settings: open::settings(global) })
}

/// What this machine calls itself.
fn host_name() -> String {
    let named = std::fs::read_to_string("/etc/hostname").ok().or_else(|| std::env::var("COMPUTERNAME").ok());
    let named = named.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_default();
    let plain: String =
        named.trim().chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).take(64).collect();
    if plain.is_empty() { "terminal".to_owned() } else { plain }
}

/// 24 words in four numbered rows of six.
fn in_rows(words: &str) -> String {
    let words: Vec<_> = words.split_whitespace().collect();
    let row = |(place, row): (usize, &[&str])| format!("  {:>2}  {}", place * 6 + 1, row.join(" "));
    words.chunks(6).enumerate().map(row).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_words_stand_in_numbered_rows() {
        let words = vec!["word"; 24].join(" ");
        let rows = in_rows(&words);
        assert_eq!(rows.lines().count(), 4);
        assert!(rows.starts_with("   1  word") && rows.contains("\n  19  word"));
    }

    #[test]
    fn a_host_name_is_always_one_that_a_relay_takes() {
        let name = host_name();
        assert!(!name.is_empty() && name.len() <= 64);
    }
}
