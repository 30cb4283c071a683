//! `send --file`, `get`.

use super::args::Global;
use super::exit::{Exit, Failed};
use super::name;
use super::open::{self, RunningNode};
use super::output::Printer;
use super::talk::{self, Settled, interrupted};
use super::verify::refuse_if_changed;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use sotto_e2ee::file::FileAbout;
use sotto_node::files::{
    self, Dropped, FileError, Giver, Got, Outgoing, Report, Source, Stage, Target, Watch,
};
use sotto_node_core::json::file_json;
use sotto_node_core::view::{Line, describe};
use sotto_protocol::ids::{ConversationId, Sequence};
use std::path::PathBuf;
use std::sync::Arc;

/// Lines that are looked through at once for the last file.
const PAGE: usize = 500;

/// What `get` takes.
#[derive(clap::Args)]
pub(crate) struct Get {
    /// The conversation
    pub(crate) name: String,
    /// Which file: the `#` number that `history` prints; without it the last one
    pub(crate) seq: Option<u64>,
    /// The last file of the conversation
    #[arg(long, conflicts_with = "seq")]
    pub(crate) last: bool,
    /// Where to: a folder, or a file; without it the current folder
    #[arg(long, short, value_name = "PATH", default_value = ".")]
    pub(crate) output: PathBuf,
    /// Replace what is there
    #[arg(long)]
    pub(crate) force: bool,
}

/// A file to send.
pub(crate) struct Sending {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    pub(crate) caption: String,
    pub(crate) reply: Option<u64>,
    pub(crate) anyway: bool,
}

pub(crate) async fn send(global: &Global, printer: &Printer, sending: Sending) -> Result<(), Failed> {
    let Sending { name, file, caption, reply, anyway } = sending;
    let node = open::node(global, printer, true).await?;
    open::finishing(node, async |node| {
        open::caught_up(node).await?;
        let view = name::conversation_or_open(node, &name).await?;
        refuse_if_changed(node, &view, anyway).await?;
        let conversation = view.conversation;
        let outgoing = Outgoing { conversation, path: file, caption, reply_to: reply.map(Sequence) };
        let bar = Bar::new(printer);
        let (about, ticket) = tokio::select! {
            sent = files::send(node, outgoing, bar.watch()) => sent?,
            () = interrupted() => return Err(stopped("sending")),
        };
        bar.end();
        // The relay may have been away while the file was on its way, and be back in a moment.
        let settled = talk::settled_in_time(ticket).await?;
        let mut object = settled.object(conversation);
        if let Some(object) = object.as_object_mut() {
            object.insert("file".to_owned(), file_json(&about));
        }
        match settled {
            Settled::Sent { sequence, .. } => {
                printer.result(&object, &format!("Sent as #{sequence}: {}", describe(&about)))
            }
            Settled::Queued { .. } => {
                printer.result(&object, &format!("Queued: {}", describe(&about)))?;
                let sentence = "the relay has the file, and that it is there waits in the outbox of this device; the next \
                                sotto command that reaches the relay says it";
                Err(Failed::new(Exit::Unreachable, "queued", sentence))
            }
        }
    })
    .await
}

pub(crate) async fn get(global: &Global, printer: &Printer, args: Get) -> Result<(), Failed> {
    let node = open::node(global, printer, true).await?;
    open::finishing(node, async |node| {
        open::caught_up(node).await?;
        let conversation = name::conversation(node, &args.name).await?.conversation;
        let (sequence, about) = find(node, conversation, args.seq.map(Sequence)).await?;
        let bar = Bar::new(printer);
        let target = Target { path: args.output, replace: args.force };
        let got = tokio::select! {
            got = files::get(node, conversation, about.clone(), target, bar.watch()) => got?,
            () = interrupted() => return Err(stopped("getting it")),
        };
        bar.end();
        let object = got_json(conversation, sequence, &about, &got);
        let Got { path, media_type, sources, dropped, .. } = got;
        for Dropped { giver, why } in &dropped {
            let from = shown_giver(giver);
            let sentence = format!("({from} was not asked any more: {why}; nothing of that was kept)");
            printer.remark(&sotto_node_core::format::harmless_line(&sentence));
        }
        if sources.iter().any(|source| source.giver != Giver::Relay && source.bytes > 0) {
            printer.remark(&format!("(came from {})", shown_sources(&sources)));
        }
        let differs = if about.media_type == media_type {
            String::new()
        } else {
            format!(" (the sender called it {})", about.media_type)
        };
        let lines = format!("{}\n{media_type} by its content{differs}", path.display());
        printer.result(&object, &sotto_node_core::format::harmless(&lines))
    })
    .await
}

/// A file that was got, for programs.
pub(crate) fn got_json(
    conversation: ConversationId,
    sequence: Sequence,
    about: &FileAbout,
    got: &Got,
) -> serde_json::Value {
    json!({
        "type": "got",
        "conversation": conversation,
        "sequence": sequence,
        "file": file_json(about),
        "path": got.path.to_string_lossy(),
        "media_type": got.media_type,
        "sources": got.sources.iter().filter(|source| source.bytes > 0).map(source_json).collect::<Vec<_>>(),
        "seconds": got.took.as_secs_f64(),
        "dropped": got.dropped.iter().map(dropped_json).collect::<Vec<_>>(),
    })
}

fn source_json(source: &Source) -> serde_json::Value {
    let mut object = giver_json(&source.giver);
    object["bytes"] = source.bytes.into();
    if let Some(round_trip) = source.round_trip {
        object["round_trip_ms"] = json!(round_trip.as_secs_f64() * 1_000.0);
    }
    object
}

fn dropped_json(dropped: &Dropped) -> serde_json::Value {
    let mut object = giver_json(&dropped.giver);
    object["why"] = dropped.why.clone().into();
    object
}

fn giver_json(giver: &Giver) -> serde_json::Value {
    match giver {
        Giver::Relay => json!({ "carrier": "relay" }),
        Giver::Member { account, username, device, routed } => {
            let carrier = if *routed { "routed" } else { "direct" };
            json!({ "carrier": carrier, "account": account, "username": username, "device": device })
        }
    }
}

/// From whom a file comes, the relay last.
fn shown_sources(sources: &[Source]) -> String {
    let mut giving: Vec<_> = sources.iter().filter(|source| source.bytes > 0).collect();
    giving.sort_by_key(|source| (source.giver == Giver::Relay, std::cmp::Reverse(source.bytes)));
    let shown = giving.into_iter().map(|source| {
        let bytes = indicatif::HumanBytes(source.bytes);
        let away = source.round_trip.map(|away| format!(", {:.0} ms away", away.as_secs_f64() * 1_000.0));
        format!("{} ({bytes}{})", shown_giver(&source.giver), away.unwrap_or_default())
    });
    sotto_node_core::format::harmless_line(&shown.collect::<Vec<_>>().join(", "))
}

fn shown_giver(giver: &Giver) -> String {
    match giver {
        Giver::Relay => "the relay".to_owned(),
        Giver::Member { account, username, routed, .. } => {
            let name = if username.is_empty() { account.to_string() } else { username.clone() };
            let way = if *routed { "by way of the relay" } else { "directly" };
            format!("{name} {way}")
        }
    }
}

/// A file by its place, or the last one.
pub(crate) async fn find(
    node: &RunningNode,
    conversation: ConversationId,
    place: Option<Sequence>,
) -> Result<(Sequence, FileAbout), Failed> {
    if let Some(place) = place {
        let line = node.ask(move |client| client.line(conversation, place)).await??;
        return match line.map(|line| line.line) {
            Some(Line::File { about, .. }) => Ok((place, about)),
            _ => Err(Failed::new(
                Exit::NotFound,
                "no_file",
                format!("there is no file at #{place} on this device; `sotto history` lists what there is"),
            )),
        };
    }
    let mut before = None;
    loop {
        let lines = node.ask(move |client| client.history(conversation, before, PAGE)).await??;
        before = lines.first().map(|line| line.sequence);
        let is_all = lines.len() < PAGE;
        for line in lines.into_iter().rev() {
            if let Line::File { about, .. } = line.line {
                return Ok((line.sequence, about));
            }
        }
        if is_all {
            let sentence =
                "there is no file in this conversation on this device; `sotto history` reads older lines";
            return Err(Failed::new(Exit::NotFound, "no_file", sentence));
        }
    }
}

fn stopped(what: &str) -> Failed {
    let sentence = format!("stopped; the same command again goes on with {what} where it was");
    Failed::new(Exit::Unreachable, "interrupted", sentence)
}

/// What a bar shows in a stage; its pace, once there is one.
fn style(stage: Stage, pace: &str) -> ProgressStyle {
    let words = if stage == Stage::Checking { "checking" } else { "moving" };
    let template = format!("{words} {{bar:30}} {{bytes}} of {{total_bytes}}{pace} {{msg}}");
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A bar on standard error, where that is a terminal and people look at it.
struct Bar(ProgressBar);

impl Bar {
    fn new(printer: &Printer) -> Self {
        Self(if printer.is_for_people() { ProgressBar::no_length() } else { ProgressBar::hidden() })
    }

    fn watch(&self) -> Watch {
        let bar = self.0.clone();
        // What stage it is in, and where that began while nothing has come in it.
        let now = std::sync::Mutex::new((None, None));
        Arc::new(move |report: Report| {
            let step = match report {
                Report::Step(step) => step,
                Report::Sources(sources) => {
                    return bar.set_message(format!("from {}", shown_sources(&sources)));
                }
                // Said at the end, where it stays.
                Report::Dropped(_) => return,
            };
            let mut now = now.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let (stage, began) = &mut *now;
            if *stage != Some(step.stage) {
                (*stage, *began) = (Some(step.stage), Some(step.done));
                bar.set_style(style(step.stage, ""));
                bar.set_length(step.total);
                // The speed is that of this stage, without what was there before.
                bar.set_position(step.done);
                bar.reset_eta();
            } else if began.is_some_and(|began| began < step.done) {
                *began = None;
                bar.set_style(style(step.stage, ", {bytes_per_sec}, {eta} left"));
            }
            bar.set_position(step.done);
        })
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl From<FileError> for Failed {
    fn from(error: FileError) -> Self {
        let (exit, code) = match error {
            FileError::Http(error) => return error.into(),
            FileError::Client(failure) => return failure.into(),
            FileError::BadList(_) | FileError::BadChunk { .. } => (Exit::Refused, "file_damaged"),
            FileError::Exists(_) => (Exit::Usage, "exists"),
            FileError::Changed(_) => (Exit::Usage, "file_changed"),
            FileError::TooLarge(_) | FileError::TooLargeHere(..) => (Exit::Usage, "too_large"),
            FileError::NoFile(_) => (Exit::Usage, "no_file"),
            FileError::Busy(_) => (Exit::Store, "file_busy"),
            _ => (Exit::Usage, "file_failed"),
        };
        Self::new(exit, code, error.to_string())
    }
}
