//! The HTTP side: what is asked once. What happens is told on the WebSocket.

use super::super::conversations::{
    Entrance, add_user, created_json, enter, listed_json, listed_rooms, make_link, new_conversation,
    no_link_for_two, plain_username, remove_user,
};
use super::super::talk::{Settled, read_history, settled};
use super::super::{args::HistoryArg, name};
use super::gate::{self, Gate};
use super::problem::Problem;
use super::send::{BODY_BYTES_MAX, Text, To, submit};
use super::{Daemon, files, presence, shapes, socket};
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router, middleware};
use clap::ValueEnum as _;
use serde::Deserialize;
use serde_json::{Value, json};
use sotto_e2ee::conversation::Suite;
use sotto_node_core::client::Client;
use sotto_node_core::command::{Command, NewConversation};
use sotto_node_core::json::conversation_json;
use sotto_node_core::view::{ConversationView, Message};
use sotto_protocol::body::conversation::{HistoryPolicy, Kind};
use sotto_protocol::ids::Sequence;

/// Lines of one page of history.
const PAGE_MAX: usize = 1000;

/// The same, where nothing is asked for.
const PAGE: usize = 50;

type Answer = Result<Json<Value>, Problem>;
type Body<T> = Result<Json<T>, JsonRejection>;

pub(super) fn router(daemon: Daemon, gate: Gate) -> Router {
    Router::new()
        .route("/ws", get(socket::open))
        .route("/status", get(status))
        .route("/messages", post(send))
        .route("/conversations", get(conversations).post(create))
        .route("/conversations/join", post(join))
        .route("/conversations/{name}", get(conversation))
        .route("/conversations/{name}/messages", get(history).post(send_to))
        .route("/conversations/{name}/files", post(files::send))
        .route("/conversations/{name}/files/{sequence}", post(files::get))
        .route("/conversations/{name}/read", post(mark_read))
        .route("/conversations/{name}/presence", get(who_is_here))
        .route("/conversations/{name}/members", get(members).post(add))
        .route("/conversations/{name}/members/{username}", delete(remove))
        .route("/conversations/{name}/invites", post(invite))
        .route("/conversations/{name}/leave", post(leave))
        .route("/rooms", get(rooms))
        .route("/presence", put(show))
        .fallback(async || {
            Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here; see docs/daemon.md")
        })
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "this path takes another method; see docs/daemon.md",
            )
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(gate, gate::pass))
        .with_state(daemon)
}

async fn status(State(daemon): State<Daemon>) -> Answer {
    let read = |client: &Client<_>| (client.device().device(), client.stats(), client.is_invisible());
    let (device, stats, invisible) = daemon.node.ask(read).await?;
    let stats = stats.map_err(super::super::exit::Failed::from)?;
    let mut object = shapes::status(&daemon.node.status());
    if let Some(object) = object.as_object_mut() {
        object.insert("account".to_owned(), json!(daemon.account));
        object.insert("username".to_owned(), json!(daemon.username));
        object.insert("device".to_owned(), json!(device));
        object.insert("version".to_owned(), json!(env!("CARGO_PKG_VERSION")));
        object.insert("decryption_failures".to_owned(), json!(stats.failures));
        object.insert("repairs".to_owned(), json!(stats.repairs));
        object.insert("invisible".to_owned(), json!(invisible));
    }
    Ok(Json(object))
}

/// Sends a text. 200: the relay has it on disk. 202: it waits on this device's disk for the relay.
async fn send(State(daemon): State<Daemon>, body: Body<Text>) -> Result<Response, Problem> {
    let Json(text) = body?;
    let (conversation, ticket) = submit(&daemon.node, text).await?;
    let settled = settled(&daemon.node, ticket).await?;
    let mut object = settled.object(conversation);
    let status = match settled {
        Settled::Sent { sequence, time, .. } => {
            if let Some(object) = object.as_object_mut() {
                object.insert("id".to_owned(), shapes::message_id(conversation, sequence).into());
                object.insert("timestamp".to_owned(), shapes::timestamp(time).into());
            }
            StatusCode::OK
        }
        Settled::Queued { .. } => StatusCode::ACCEPTED,
    };
    Ok((status, Json(object)).into_response())
}

/// A text to the conversation in the path.
#[derive(Deserialize)]
struct TextTo {
    content: String,
    reply_to: Option<Sequence>,
    #[serde(default)]
    anyway: bool,
}

async fn send_to(
    daemon: State<Daemon>,
    Path(name): Path<String>,
    body: Body<TextTo>,
) -> Result<Response, Problem> {
    let Json(TextTo { content, reply_to, anyway }) = body?;
    send(daemon, Ok(Json(Text { to: To::conversation(name), content, reply_to, anyway }))).await
}

async fn conversations(State(daemon): State<Daemon>) -> Answer {
    let views = name::views(&daemon.node).await?;
    Ok(list("conversations", presence::conversations(&daemon.node, &views).await?))
}

async fn conversation(State(daemon): State<Daemon>, Path(name): Path<String>) -> Answer {
    let view = name::conversation(&daemon.node, &name).await?;
    let object = presence::conversations(&daemon.node, &[view]).await?.pop();
    Ok(Json(object.unwrap_or_default()))
}

/// A group or a room to make.
#[derive(Deserialize)]
struct New {
    name: String,
    #[serde(default)]
    users: Vec<String>,
    #[serde(default)]
    room: bool,
    #[serde(default)]
    listed: bool,
    history: Option<String>,
}

async fn create(State(daemon): State<Daemon>, body: Body<New>) -> Result<Response, Problem> {
    let Json(new) = body?;
    if new.listed && !new.room {
        return Err(Problem::invalid("only a room can be listed: say \"room\": true too"));
    }
    let history = match new.history.as_deref().map(|word| HistoryArg::from_str(word, false)) {
        Some(Ok(history)) => history.into(),
        Some(Err(_)) => return Err(Problem::invalid("history is one of none, since-joining, all")),
        None if new.room => HistoryPolicy::All,
        None => HistoryPolicy::SinceJoining,
    };
    let new = NewConversation {
        listed_name: new.listed.then(|| new.name.clone()),
        name: new.name,
        room: new.room,
        history,
        suite: Suite::default(),
        members: new.users.iter().map(|user| plain_username(user)).collect(),
    };
    let (view, missing) = new_conversation(&daemon.node, new).await?;
    Ok((StatusCode::CREATED, Json(created_json(&view, &missing))).into_response())
}

/// A door: one of the two.
#[derive(Deserialize)]
struct Door {
    /// An invite link.
    link: Option<String>,
    /// The public name of a listed room.
    room: Option<String>,
}

async fn join(State(daemon): State<Daemon>, body: Body<Door>) -> Answer {
    let Json(door) = body?;
    let entrance = match (door.link, door.room) {
        (Some(link), None) if link.contains("://") => Entrance::parse(&link)?,
        (None, Some(room)) => Entrance::Listed(room),
        _ => return Err(Problem::invalid("name either a link (sotto://...) or a listed room")),
    };
    entrance.is_here(&daemon.relay)?;
    Ok(Json(conversation_json(&enter(&daemon.node, &entrance).await?)))
}

/// Which lines of a history.
#[derive(Deserialize)]
struct Page {
    /// Lines before this place, the newest of them.
    before: Option<u64>,
    /// Lines after this place, the oldest of them.
    after: Option<u64>,
    limit: Option<usize>,
}

async fn history(
    State(daemon): State<Daemon>,
    Path(name): Path<String>,
    page: Result<Query<Page>, QueryRejection>,
) -> Answer {
    let Query(page) = page?;
    let limit = page.limit.unwrap_or(PAGE);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Problem::invalid(format!("limit is a number of lines, from 1 to {PAGE_MAX}")));
    }
    let view = name::conversation(&daemon.node, &name).await?;
    let id = view.conversation;
    let lines = match (page.before, page.after) {
        (Some(_), Some(_)) => return Err(Problem::invalid("name either before or after")),
        (before, None) => read_history(&daemon.node, id, before.map(Sequence), limit).await?,
        (None, Some(after)) => {
            let read = move |client: &Client<_>| client.history_after(id, Sequence(after), limit);
            daemon.node.ask(read).await?.map_err(super::super::exit::Failed::from)?
        }
    };
    Ok(Json(page_json(&view, &lines)))
}

fn page_json(view: &ConversationView, lines: &[Message]) -> Value {
    json!({
        "type": "messages",
        "conversation": view.conversation,
        // To read on in either direction. A page that is not full is the last for now.
        "before": lines.first().map(|line| line.sequence),
        "after": lines.last().map(|line| line.sequence),
        "messages": lines.iter().map(|line| shapes::message(line, None)).collect::<Vec<_>>(),
    })
}

#[derive(Deserialize)]
struct UpTo {
    upto: Sequence,
}

async fn mark_read(State(daemon): State<Daemon>, Path(name): Path<String>, body: Body<UpTo>) -> Answer {
    let Json(UpTo { upto }) = body?;
    let conversation = name::conversation(&daemon.node, &name).await?.conversation;
    daemon.node.command(Command::MarkRead { conversation, upto }).await?;
    Ok(Json(json!({ "type": "done" })))
}

async fn members(State(daemon): State<Daemon>, Path(name): Path<String>) -> Answer {
    let view = name::conversation(&daemon.node, &name).await?;
    Ok(list("members", presence::members(&daemon.node, &view).await?))
}

async fn who_is_here(State(daemon): State<Daemon>, Path(name): Path<String>) -> Answer {
    let view = name::conversation(&daemon.node, &name).await?;
    Ok(Json(presence::of(&daemon.node, &view).await?))
}

/// Whether the others see that this device is here.
#[derive(Deserialize)]
struct Shown {
    invisible: bool,
}

async fn show(State(daemon): State<Daemon>, body: Body<Shown>) -> Answer {
    let Json(Shown { invisible }) = body?;
    daemon.node.command(Command::SetInvisible(invisible)).await?;
    Ok(Json(json!({ "type": "done" })))
}

/// A user by name.
#[derive(Deserialize)]
struct User {
    username: String,
}

async fn add(State(daemon): State<Daemon>, Path(name): Path<String>, body: Body<User>) -> Answer {
    let Json(User { username }) = body?;
    let view = name::conversation(&daemon.node, &name).await?;
    let added = add_user(&daemon.node, view.conversation, &plain_username(&username)).await?;
    Ok(Json(json!({ "type": "added", "conversation": view.conversation, "accounts": added })))
}

async fn remove(State(daemon): State<Daemon>, Path((name, username)): Path<(String, String)>) -> Answer {
    let view = name::conversation(&daemon.node, &name).await?;
    let account = remove_user(&daemon.node, &view, &plain_username(&username)).await?;
    Ok(Json(json!({ "type": "removed", "conversation": view.conversation, "account": account })))
}

/// For how many, and how long.
#[derive(Deserialize, Default)]
struct NewInvite {
    uses: Option<u32>,
    hours: Option<u64>,
}

async fn invite(State(daemon): State<Daemon>, Path(name): Path<String>, body: Body<NewInvite>) -> Answer {
    let Json(NewInvite { uses, hours }) = body?;
    let view = name::conversation(&daemon.node, &name).await?;
    if view.kind == Kind::Direct {
        return Err(no_link_for_two().into());
    }
    let link = make_link(&daemon.node, Some(view.conversation), uses, hours).await?;
    Ok(Json(json!({ "type": "invite", "conversation": view.conversation, "link": link })))
}

async fn leave(State(daemon): State<Daemon>, Path(name): Path<String>) -> Answer {
    let conversation = name::conversation(&daemon.node, &name).await?.conversation;
    daemon.node.command(Command::Leave { conversation }).await?;
    Ok(Json(json!({ "type": "left", "conversation": conversation })))
}

async fn rooms(State(daemon): State<Daemon>) -> Answer {
    let rooms = listed_rooms(&daemon.node).await?;
    Ok(list("rooms", rooms.iter().map(listed_json).collect()))
}

fn list(name: &str, objects: Vec<Value>) -> Json<Value> {
    Json(json!({ "type": name, name: objects }))
}
