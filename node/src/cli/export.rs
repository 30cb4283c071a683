//! `export`: everything that this device has of an account, in a file that other programs can read too.
//!
//! `docs/export.md` describes it. Keys of the device itself are not in it: a device that is copied reuses keys, which
//! others refuse. What is in it makes another machine a *further* device, with the same history.

use super::args::Global;
use super::conversations::member_json;
use super::exit::{Exit, Failed};
use super::open;
use super::output::Printer;
use super::prompt;
use serde_json::{Value, json};
use sotto_node::node::{Start, resume, wall_clock};
use sotto_node::portable::{PortableError, PortableWriter};
use sotto_node::profile::{private_options, sync_folder};
use sotto_node::store::SqliteStore;
use sotto_node_core::command::Who;
use sotto_node_core::json::{history_name, kind_name, message_json, standing_name};
use sotto_node_core::view::ConversationView;
use sotto_protocol::body::conversation::Kind;
use sotto_protocol::ids::{AccountId, Sequence};
use std::collections::BTreeSet;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Lines that are read at once.
const PAGE: usize = 500;

/// What `export` takes.
#[derive(clap::Args)]
pub(crate) struct Export {
    /// The file to write; it must not be there yet
    pub(crate) file: PathBuf,
    /// Leave the keys out and write plain lines of JSON, NOT encrypted
    #[arg(long)]
    pub(crate) without_keys: bool,
    /// Read the passphrase of the export from the first line of this file (or: SOTTO_EXPORT_PASSPHRASE)
    #[arg(long, value_name = "FILE")]
    pub(crate) export_passphrase_file: Option<PathBuf>,
}

pub(crate) async fn export(global: &Global, printer: &Printer, args: Export) -> Result<(), Failed> {
    if args.file.exists() {
        return Err(Failed::usage(format!("{} exists already; it is not overwritten", args.file.display())));
    }
    let start = resume(open::store(global).await?, open::settings(global), false)?;
    let passphrase = match args.without_keys {
        true => None,
        false => Some(prompt::export_passphrase(args.export_passphrase_file.as_deref(), true)?),
    };
    let beside = beside(&args.file);
    let failed = |what: String| Failed::usage(format!("{} cannot be written: {what}", beside.display()));
    let file = private_options()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&beside)
        .map_err(|error| failed(error.to_string()))?;
    let counts = match write(&start, file, passphrase.as_ref().map(|text| text.as_str())) {
        Ok(counts) => counts,
        Err(error) => {
            // Half an export is none.
            let _ = std::fs::remove_file(&beside);
            return Err(error);
        }
    };
    std::fs::rename(&beside, &args.file)
        .and_then(|()| sync_folder(&args.file))
        .map_err(|error| failed(error.to_string()))?;
    let Counts { conversations, messages } = counts;
    let shown = args.file.display().to_string();
    let object = json!({
        "type": "exported",
        "file": shown,
        "sealed": passphrase.is_some(),
        "conversations": conversations,
        "messages": messages,
    });
    let how = match passphrase {
        Some(_) => "It is encrypted; whoever has it and the passphrase has the account.",
        None => "It is NOT encrypted, and holds no keys: keep it where only you can read it.",
    };
    printer.result(
        &object,
        &format!("{messages} messages of {conversations} conversations are in {shown}. {how}"),
    )
}

fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

struct Counts {
    conversations: usize,
    messages: usize,
}

fn write(
    start: &Start<SqliteStore>,
    file: std::fs::File,
    passphrase: Option<&str>,
) -> Result<Counts, Failed> {
    let client = &start.client;
    let mut out = PortableWriter::begin(BufWriter::new(file), passphrase)?;
    out.line(&json!({
        "type": "account",
        "account": client.device().account(),
        "username": client.username(),
        "email": start.session.email,
        "relay": start.session.link().map(|link| link.to_string()).unwrap_or_default(),
        "exported_ms": wall_clock(),
        "program": concat!("sotto/", env!("CARGO_PKG_VERSION")),
    }))?;
    if passphrase.is_some() {
        let words = client.recovery_key().to_words();
        out.line(&json!({ "type": "keys", "recovery_words": *words }))?;
    }
    let views = client.conversations()?;
    let known: BTreeSet<AccountId> =
        views.iter().flat_map(|view| &view.members).map(|member| member.account).collect();
    for account in known {
        let Some(contact) = client.contact(&Who::Account(account))? else { continue };
        out.line(&json!({
            "type": "contact",
            "account": account,
            "username": contact.username,
            "identity_key": contact.identity_key.map(|key| data_encoding::HEXLOWER.encode(&key)),
            "verified": contact.verified,
        }))?;
    }
    let mut messages = 0;
    for view in &views {
        out.line(&conversation(view, client.device().account()))?;
        let (id, mut after) = (view.conversation, Sequence(0));
        loop {
            let lines = client.history_after(id, after, PAGE)?;
            let Some(last) = lines.last() else { break };
            after = last.sequence;
            // What disappears must not live on in a file.
            for line in lines.iter().filter(|line| line.expires_at.is_none()) {
                messages += 1;
                let mut object = message_json(line, None);
                if let Some(object) = object.as_object_mut() {
                    object.insert("number".to_owned(), json!(line.number));
                }
                out.line(&object)?;
            }
        }
    }
    out.line(&json!({ "type": "end", "conversations": views.len(), "messages": messages }))?;
    let mut file = out.finish()?;
    file.flush().map_err(PortableError::Io)?;
    file.get_ref().sync_all().map_err(PortableError::Io)?;
    Ok(Counts { conversations: views.len(), messages })
}

fn conversation(view: &ConversationView, me: AccountId) -> Value {
    let peer = view.members.iter().map(|member| member.account).find(|account| *account != me);
    json!({
        "type": "conversation",
        "conversation": view.conversation,
        "kind": kind_name(view.kind),
        "history": history_name(view.history),
        "title": view.title,
        "name": view.name,
        "standing": standing_name(view.standing),
        "peer": peer.filter(|_| view.kind == Kind::Direct),
        "members": view.members.iter().map(member_json).collect::<Vec<_>>(),
    })
}

impl From<PortableError> for Failed {
    fn from(error: PortableError) -> Self {
        let (exit, code) = match &error {
            PortableError::NotOne => (Exit::Usage, "no_export"),
            PortableError::Newer(_) => (Exit::Version, "export_newer"),
            PortableError::WrongPassphrase => (Exit::SignedOut, "wrong_passphrase"),
            PortableError::Damaged => (Exit::Usage, "export_damaged"),
            PortableError::Secret(_) => (Exit::Usage, "passphrase_needed"),
            _ => (Exit::Usage, "export_failed"),
        };
        Self::new(exit, code, error.to_string())
    }
}
