//! `import`: what an export holds, on this machine.
//!
//! Where the profile is empty, the keys in the export make this machine a further device of the account; then, and in a
//! profile of the same account, the lines that are not here are added. The whole file is read once before anything is
//! done, so that one that was cut off or changed does nothing.

use super::account::{Newcomer, further_device};
use super::args::{Global, HistoryArg, PasswordFrom};
use super::exit::{Exit, Failed};
use super::open::{self, RunningNode};
use super::output::Printer;
use super::prompt;
use clap::ValueEnum as _;
use serde::Deserialize;
use serde_json::json;
use sotto_node::portable::PortableReader;
use sotto_node_core::command::{Command, PastConversation, PastLine, Who};
use sotto_node_core::event::Outcome;
use sotto_node_core::past::PAST_LINES_MAX;
use sotto_protocol::body::conversation::{HistoryPolicy, Kind};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, MessageNumber, Sequence, UnixMillis};
use sotto_protocol::invite::Invite;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A text of 63 KiB, each byte written as `\u0000`, with what stands around it; a room's members fit too.
const LINE_BYTES_MAX: usize = 1024 * 1024;

/// What `import` takes.
#[derive(clap::Args)]
pub(crate) struct Import {
    /// The export
    pub(crate) file: PathBuf,
    /// Read the passphrase of the export from the first line of this file (or: SOTTO_EXPORT_PASSPHRASE)
    #[arg(long, value_name = "FILE")]
    pub(crate) export_passphrase_file: Option<PathBuf>,
    /// What a new device is called in your list of devices [default: this machine's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) device_name: Option<String>,
    #[command(flatten)]
    pub(crate) password: PasswordFrom,
}

/// A line of an export. Kinds and fields that a newer program may add are skipped.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Record {
    Account {
        account: AccountId,
        username: String,
        relay: String,
    },
    Keys {
        recovery_words: String,
    },
    Contact {
        account: AccountId,
        identity_key: Option<String>,
        verified: bool,
    },
    Conversation {
        conversation: ConversationId,
        kind: String,
        history: String,
        name: String,
        peer: Option<AccountId>,
    },
    Message(Box<MessageRecord>),
    End {
        conversations: usize,
        messages: usize,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
struct MessageRecord {
    conversation: ConversationId,
    sequence: Sequence,
    time_ms: UnixMillis,
    sent_at_ms: UnixMillis,
    account: AccountId,
    #[serde(default)]
    username: String,
    device: DeviceId,
    #[serde(default)]
    number: MessageNumber,
    /// Of a text.
    text: Option<String>,
}

/// What the first reading found.
struct Found {
    account: AccountId,
    username: String,
    relay: String,
    words: Option<Zeroizing<String>>,
    /// Whose keys the person compared.
    verified: Vec<(AccountId, [u8; 32])>,
    conversations: usize,
}

pub(crate) async fn import(global: &Global, printer: &Printer, args: Import) -> Result<(), Failed> {
    let passphrase = std::cell::OnceCell::new();
    let open_file = || {
        let file = File::open(&args.file).map_err(|error| unreadable(&args.file, &error.to_string()))?;
        let reader = PortableReader::begin(BufReader::new(file), || {
            // Asked once; the file is read twice.
            if let Some(known) = passphrase.get() {
                return Ok(Zeroizing::clone(known));
            }
            let asked = prompt::export_passphrase(args.export_passphrase_file.as_deref(), false)?;
            Ok(passphrase.get_or_init(|| asked).clone())
        })?;
        Ok::<_, Failed>(reader)
    };
    let found = look(&mut open_file()?)?;
    let is_new = !open::profile(global)?.exists();
    let node = if is_new {
        let words = found.words.as_ref().ok_or_else(|| {
            Failed::usage(
                "there is no account in this profile yet, and the export holds no keys: register, log in or recover \
                 first, then import",
            )
        })?;
        let link: Option<Invite> = found.relay.parse().ok();
        let password = prompt::password(args.password.password_file.as_deref(), false)?;
        let newcomer = Newcomer { username: &found.username, password: &password, words };
        further_device(global, printer, newcomer, link, args.device_name).await?
    } else {
        open::node(global, printer, false).await?
    };
    open::finishing(node, async |node| {
        let here = node.ask(|client| client.device().account()).await?;
        if here != found.account {
            return Err(Failed::new(
                Exit::Usage,
                "other_account",
                "the export is of another account than this profile; import it into another --profile",
            ));
        }
        let (messages, added) = add(node, &mut open_file()?).await?;
        if is_new {
            for (account, identity_key) in found.verified {
                let verify = Command::Verify { who: Who::Account(account), identity_key };
                if let Err(failure) = node.command(verify).await {
                    tracing::debug!(%account, %failure, "a verification is not taken over");
                }
            }
        }
        let object = json!({
            "type": "imported",
            "account": here,
            "new_device": is_new,
            "conversations": found.conversations,
            "messages": messages,
            "added": added,
        });
        let lines = format!(
            "{messages} messages of {} conversations were read, and {added} of them are new here.",
            found.conversations
        );
        printer.result(&object, &lines)
    })
    .await
}

fn unreadable(file: &Path, what: &str) -> Failed {
    Failed::usage(format!("{} cannot be read: {what}", file.display()))
}

fn damaged(what: &str) -> Failed {
    Failed::new(Exit::Usage, "export_damaged", format!("the export is damaged: {what}; nothing was changed"))
}

/// The next record, with its line for what goes wrong.
fn next(reader: &mut PortableReader<BufReader<File>>, line: &mut usize) -> Result<Option<Record>, Failed> {
    *line += 1;
    let Some(bytes) = reader.line(LINE_BYTES_MAX)? else { return Ok(None) };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| damaged(&format!("line {line} is not what an export has ({error})")))
}

/// Reads the whole file and changes nothing.
fn look(reader: &mut PortableReader<BufReader<File>>) -> Result<Found, Failed> {
    let mut line = 1;
    let Some(Record::Account { account, username, relay }) = next(reader, &mut line)? else {
        return Err(damaged("it does not begin with an account"));
    };
    let mut found = Found { account, username, relay, words: None, verified: Vec::new(), conversations: 0 };
    let (mut messages, mut at) = (0, None);
    loop {
        match next(reader, &mut line)? {
            Some(Record::Keys { recovery_words }) => found.words = Some(Zeroizing::new(recovery_words)),
            Some(Record::Contact { account, identity_key: Some(key), verified: true }) => {
                let key = data_encoding::HEXLOWER.decode(key.as_bytes()).ok();
                let key = key.and_then(|key| key.try_into().ok());
                found.verified.push((account, key.ok_or_else(|| damaged("a contact's key is none"))?));
            }
            Some(Record::Conversation { conversation, kind, history, .. }) => {
                policies(&kind, &history)?;
                at = Some(conversation);
                found.conversations += 1;
            }
            Some(Record::Message(message)) => {
                if at != Some(message.conversation) {
                    return Err(damaged(&format!("line {line} stands in another conversation")));
                }
                messages += 1;
            }
            Some(Record::End { conversations, messages: told }) => {
                let whole = (conversations, told) == (found.conversations, messages);
                let over = next(reader, &mut line)?.is_none();
                return if whole && over { Ok(found) } else { Err(damaged("its end counts otherwise")) };
            }
            Some(Record::Account { .. }) => return Err(damaged("it has two accounts")),
            Some(Record::Contact { .. } | Record::Unknown) => {}
            None => return Err(damaged("it has no end")),
        }
    }
}

fn policies(kind: &str, history: &str) -> Result<(Kind, HistoryPolicy), Failed> {
    let kind = match kind {
        "direct" => Kind::Direct,
        "group" => Kind::Group,
        "room" => Kind::Room,
        _ => return Err(damaged("a conversation is of a kind that this version does not know")),
    };
    let history = HistoryArg::from_str(history, false)
        .map_err(|_| damaged("a conversation has a history policy that this version does not know"))?;
    Ok((kind, history.into()))
}

/// Adds what is not here; how many lines were read, and how many were new.
async fn add(
    node: &RunningNode,
    reader: &mut PortableReader<BufReader<File>>,
) -> Result<(usize, usize), Failed> {
    let mut line = 0;
    let (mut at, mut lines) = (None, Vec::new());
    let (mut messages, mut added) = (0, 0);
    while let Some(record) = next(reader, &mut line)? {
        match record {
            Record::Conversation { conversation, kind, history, name, peer } => {
                added += put(node, at.as_ref(), std::mem::take(&mut lines)).await?;
                let (kind, history) = policies(&kind, &history)?;
                at = Some(PastConversation { conversation, kind, history, name, peer });
            }
            Record::Message(message) => {
                messages += 1;
                let message = *message;
                // What happened (joined, left, renamed) is the log's to tell.
                let Some(text) = message.text else { continue };
                lines.push(PastLine {
                    sequence: message.sequence,
                    time: message.time_ms,
                    sent_at: message.sent_at_ms,
                    account: message.account,
                    username: message.username,
                    device: message.device,
                    number: message.number,
                    text,
                });
                if lines.len() == PAST_LINES_MAX {
                    added += put(node, at.as_ref(), std::mem::take(&mut lines)).await?;
                }
            }
            _ => {}
        }
    }
    added += put(node, at.as_ref(), lines).await?;
    Ok((messages, added))
}

async fn put(
    node: &RunningNode,
    at: Option<&PastConversation>,
    lines: Vec<PastLine>,
) -> Result<usize, Failed> {
    let Some(conversation) = at.filter(|_| !lines.is_empty()).cloned() else { return Ok(0) };
    match node.command(Command::ImportHistory { conversation, lines }).await? {
        Outcome::History { added, .. } => Ok(added),
        other => Err(Failed::internal(format!("an unexpected outcome: {other:?}"))),
    }
}
