//! The WebSocket: texts in, what happens out.
//!
//! Two halves: one reads and hands texts to the client in the order they came, the other writes answers and events.
//! A text is answered twice, `queued` when it is on this device's disk and `sent` when it is on the relay's. A program
//! that does not read is first left behind (`behind`, with cursors) and after a while let go; others notice nothing.

use super::super::exit::Failed;
use super::super::shown::Shown;
use super::super::{name, open};
use super::Daemon;
use super::follow::Followed;
use super::listen::closed;
use super::presence;
use super::problem::Problem;
use super::send::{BODY_BYTES_MAX, Text, To, submit};
use super::shapes;
use axum::extract::rejection::QueryRejection;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};
use sotto_e2ee::store::StoreError;
use sotto_node::node::{Progress, Ticket};
use sotto_node_core::command::Command;
use sotto_node_core::event::{Event, Outcome};
use sotto_protocol::ids::{ConversationId, Sequence};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Semaphore, broadcast, mpsc};

/// Texts of one socket that wait for the relay at once, half of what the outbox of a conversation holds; then it is
/// read no further.
pub(super) const UNDER_WAY_MAX: usize = 512;

/// Answers that may wait while the program does not read.
const ANSWERS_WAITING_MAX: usize = 64;

/// A program that has read nothing for so long is let go. A bot that thinks between two reads takes less.
const WRITE_TIMEOUT: Duration = Duration::from_secs(300);

/// What can be asked for in the address.
#[derive(Deserialize)]
pub(super) struct Wishes {
    /// Also tell what this account itself says, here or on another device.
    #[serde(default)]
    own: bool,
}

pub(super) async fn open(
    State(daemon): State<Daemon>,
    wishes: Result<Query<Wishes>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let Query(wishes) = wishes?;
    let upgrade = upgrade.map_err(|_| Problem::invalid("this path speaks WebSocket only"))?;
    let Ok(slot) = daemon.sockets.clone().try_acquire_owned() else {
        let sentence =
            format!("{} sockets are open already, and there are no more; close some", super::SOCKETS_MAX);
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_sockets", sentence));
    };
    let upgrade = upgrade.max_message_size(BODY_BYTES_MAX).max_frame_size(BODY_BYTES_MAX);
    Ok(upgrade.on_upgrade(async move |socket| {
        if let Err(failed) = serve(&daemon, socket, wishes.own).await {
            tracing::debug!(failed = failed.sentence, "a socket ended early");
        }
        drop(slot);
    }))
}

async fn serve(daemon: &Daemon, socket: WebSocket, own: bool) -> Result<(), Failed> {
    // Listening comes first: what happens from here on is an event, what happened before is in the views.
    let events = daemon.node.events();
    let (shown, views) = daemon
        .node
        .ask(|client| Ok::<_, StoreError>((Shown::up_to_now(client)?, client.conversations()?)))
        .await??;
    let (sink, stream) = socket.split();
    let (tell, answers) = mpsc::channel(ANSWERS_WAITING_MAX);
    let mut writer = Writer { daemon, sink, events, answers, followed: Followed::new(own, shown, &views) };
    let ready = json!({
        "type": "ready",
        "account": daemon.account,
        "username": daemon.username,
        "status": shapes::status(&daemon.node.status()).get("status"),
        "conversations": presence::conversations(&daemon.node, &views).await?,
    });
    let reading = tokio::spawn(read(daemon.clone(), stream, tell));
    let end = reading.abort_handle();
    let result = match writer.say(&ready).await {
        true => writer.run(reading).await,
        false => Ok(()),
    };
    end.abort();
    result
}

/// The half that writes.
struct Writer<'a> {
    daemon: &'a Daemon,
    sink: SplitSink<WebSocket, Message>,
    events: broadcast::Receiver<Event>,
    answers: mpsc::Receiver<Value>,
    followed: Followed,
}

impl Writer<'_> {
    async fn run(&mut self, mut reading: tokio::task::JoinHandle<()>) -> Result<(), Failed> {
        let mut closing = self.daemon.closing.clone();
        let mut status = self.daemon.node.statuses();
        status.mark_unchanged();
        loop {
            let object = tokio::select! {
                biased;
                () = closed(&mut closing) => {
                    self.close().await;
                    return Ok(());
                }
                Some(answer) = self.answers.recv() => Some(answer),
                // The program has gone; what it said is on its way.
                _ = &mut reading => return Ok(()),
                event = self.events.recv() => match event {
                    Ok(event) => self.event(&event).await?,
                    Err(RecvError::Lagged(missed)) => {
                        let views = name::views(&self.daemon.node).await?;
                        Some(self.followed.behind(missed, &views))
                    }
                    Err(RecvError::Closed) => return Ok(()),
                },
                Ok(()) = status.changed() => {
                    let now = status.borrow_and_update().clone();
                    Some(shapes::status(&now))
                }
            };
            if let Some(object) = object
                && !self.say(&object).await
            {
                return Ok(());
            }
        }
    }

    async fn event(&mut self, event: &Event) -> Result<Option<Value>, Failed> {
        if let Some((code, sentence)) = open::alarm(event) {
            return Ok(Some(json!({ "type": "alarm", "code": code, "text": sentence })));
        }
        Ok(match event {
            Event::Message(message) => self.followed.message(message),
            Event::Conversation(view) => {
                self.followed.learn(view);
                presence::conversations(&self.daemon.node, std::slice::from_ref(view)).await?.pop()
            }
            Event::Changed { conversation, sequence } => {
                let (id, at) = (*conversation, *sequence);
                let line = self.daemon.node.ask(move |client| client.line(id, at)).await??;
                match line {
                    Some(line) => self.followed.changed(&line),
                    None => Some(json!({ "type": "gone", "conversation": id, "sequence": at })),
                }
            }
            Event::HistoryAdded { conversation, lines } => {
                Some(json!({ "type": "history_added", "conversation": conversation, "lines": lines }))
            }
            Event::Admitted { conversation } => {
                Some(json!({ "type": "admitted", "conversation": conversation }))
            }
            Event::Typing { conversation, account, on } => {
                Some(json!({ "type": "typing", "conversation": conversation, "account": account, "on": on }))
            }
            Event::Presence { conversation, account, here } => {
                Some(presence::changed(&self.daemon.node, *conversation, *account, *here).await?)
            }
            Event::PresentCount { conversation, count } => {
                Some(json!({ "type": "present", "conversation": conversation, "count": count }))
            }
            Event::Read { conversation, account, device, upto } => Some(json!({
                "type": "read",
                "conversation": conversation,
                "account": account,
                "device": device,
                "upto": upto,
            })),
            _ => None,
        })
    }

    /// False if nobody takes it.
    async fn say(&mut self, object: &Value) -> bool {
        let message = Message::Text(object.to_string().into());
        matches!(tokio::time::timeout(WRITE_TIMEOUT, self.sink.send(message)).await, Ok(Ok(())))
    }

    async fn close(&mut self) {
        let reason = "the daemon is closing; what was queued is sent when it runs again";
        let closing = json!({ "type": "closing", "text": reason });
        let frame = CloseFrame { code: close_code::AWAY, reason: "the daemon is closing".into() };
        let goodbye = async {
            self.sink.send(Message::Text(closing.to_string().into())).await?;
            self.sink.send(Message::Close(Some(frame))).await
        };
        // A program that does not read has to do without.
        let _ = tokio::time::timeout(Duration::from_secs(1), goodbye).await;
    }
}

/// The half that reads.
async fn read(daemon: Daemon, mut stream: SplitStream<WebSocket>, tell: mpsc::Sender<Value>) {
    let room = Arc::new(Semaphore::new(UNDER_WAY_MAX));
    while let Some(Ok(message)) = stream.next().await {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => {
                let problem = Problem::invalid("say JSON in text messages; binary ones mean nothing here");
                if tell.send(problem.event(None)).await.is_err() {
                    return;
                }
                continue;
            }
            Message::Close(_) => return,
            Message::Ping(_) | Message::Pong(_) => continue,
        };
        // Before the text is handed on: what waits is bounded by the outbox too.
        let Ok(slot) = room.clone().acquire_owned().await else { return };
        let asked: Result<Asked, _> = serde_json::from_str(&text);
        let (reference, answer) = match asked {
            Ok(asked) if asked.reference_is_short() => {
                (asked.reference.clone(), carry_out(&daemon, asked, &text).await)
            }
            Ok(_) => (None, Err(Problem::invalid("ref is a string of up to 128 characters, or a number"))),
            Err(error) => (None, Err(Problem::invalid(format!("this is not a JSON object: {error}")))),
        };
        let answer = match answer {
            Ok(Answer::Now(object)) => with_reference(object, reference.as_ref()),
            Ok(Answer::Later(conversation, ticket)) => {
                let tell = tell.clone();
                tokio::spawn(async move {
                    watch(conversation, ticket, reference, tell).await;
                    drop(slot);
                });
                continue;
            }
            Err(problem) => problem.event(reference.as_ref()),
        };
        if tell.send(answer).await.is_err() {
            return;
        }
    }
}

/// What every request has.
#[derive(Deserialize)]
struct Asked {
    /// Without it, it is a text to send, as other chat servers take it.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Comes back with the answers.
    #[serde(rename = "ref")]
    reference: Option<Value>,
}

impl Asked {
    fn reference_is_short(&self) -> bool {
        match &self.reference {
            None | Some(Value::Null | Value::Number(_)) => true,
            Some(Value::String(text)) => text.chars().count() <= 128,
            Some(_) => false,
        }
    }
}

/// How far somebody has read.
#[derive(Deserialize)]
struct ReadUpTo {
    #[serde(flatten)]
    to: To,
    upto: Sequence,
}

enum Answer {
    Now(Value),
    Later(ConversationId, Ticket),
}

async fn carry_out(daemon: &Daemon, asked: Asked, text: &str) -> Result<Answer, Problem> {
    let node = &daemon.node;
    match asked.kind.as_deref().unwrap_or("send") {
        "send" => {
            let (conversation, ticket) = submit(node, fields::<Text>(text)?).await?;
            Ok(Answer::Later(conversation, ticket))
        }
        "typing" => {
            let conversation = fields::<To>(text)?.find(node).await?;
            node.command(Command::Typing { conversation }).await?;
            Ok(Answer::Now(json!({ "type": "done" })))
        }
        "read" => {
            let read: ReadUpTo = fields(text)?;
            let conversation = read.to.find(node).await?;
            node.command(Command::MarkRead { conversation, upto: read.upto }).await?;
            Ok(Answer::Now(json!({ "type": "done" })))
        }
        "ping" => Ok(Answer::Now(json!({ "type": "pong" }))),
        _ => Err(Problem::invalid(
            "the type is one of send, typing, read, ping; everything else is asked over HTTP",
        )),
    }
}

fn fields<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(|error| Problem::invalid(error.to_string()))
}

/// Tells where a text stands, until it is on the relay's disk or nobody listens any more.
async fn watch(
    conversation: ConversationId,
    mut ticket: Ticket,
    reference: Option<Value>,
    tell: mpsc::Sender<Value>,
) {
    loop {
        let progress = tokio::select! {
            progress = ticket.progress() => progress,
            () = tell.closed() => return,
        };
        let (object, last) = match progress {
            Progress::Queued { number, .. } => {
                (json!({ "type": "queued", "conversation": conversation, "number": number }), false)
            }
            Progress::Done(Outcome::Sent { number, sequence, time, .. }) => {
                let object = json!({
                    "type": "sent",
                    "conversation": conversation,
                    "number": number,
                    "sequence": sequence,
                    "id": shapes::message_id(conversation, sequence),
                    "time_ms": time,
                    "timestamp": shapes::timestamp(time),
                });
                (object, true)
            }
            Progress::Done(other) => {
                let failed = Failed::internal(format!("an unexpected outcome: {other:?}"));
                (Problem::from(failed).event(None), true)
            }
            Progress::Failed(failure) => (Problem::from(failure).event(None), true),
        };
        if tell.send(with_reference(object, reference.as_ref())).await.is_err() || last {
            return;
        }
    }
}

fn with_reference(mut object: Value, reference: Option<&Value>) -> Value {
    if let (Some(object), Some(reference)) = (object.as_object_mut(), reference) {
        object.insert("ref".to_owned(), reference.clone());
    }
    object
}
