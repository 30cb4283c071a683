//! Files by path: from this machine's disk to a conversation, and from a conversation into a folder.

use super::super::files::{find, got_json};
use super::super::{name, talk, verify};
use super::problem::Problem;
use super::{Daemon, shapes};
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, body};
use serde::Deserialize;
use serde_json::Value;
use sotto_node::files::{self, FileError, Outgoing, Target};
use sotto_node_core::json::file_json;
use sotto_protocol::ids::Sequence;
use std::path::PathBuf;
use std::sync::Arc;

/// A file to send.
#[derive(Deserialize)]
pub(super) struct Send {
    path: PathBuf,
    #[serde(default)]
    caption: String,
    reply_to: Option<Sequence>,
    #[serde(default)]
    anyway: bool,
}

/// Sends a file. The same again goes on where a daemon that ended was.
pub(super) async fn send(
    State(daemon): State<Daemon>,
    Path(name): Path<String>,
    sent: Result<Json<Send>, JsonRejection>,
) -> Result<Response<body::Body>, Problem> {
    let Json(Send { path, caption, reply_to, anyway }) = sent?;
    absolute(&path)?;
    let view = name::conversation_or_open(&daemon.node, &name).await?;
    verify::refuse_if_changed(&daemon.node, &view, anyway).await?;
    let conversation = view.conversation;
    let outgoing = Outgoing { conversation, path, caption, reply_to };
    let (about, ticket) = files::send(&daemon.node, outgoing, Arc::new(|_| {})).await?;
    let settled = talk::settled(&daemon.node, ticket).await?;
    let mut object = settled.object(conversation);
    let mut status = StatusCode::ACCEPTED;
    if let Some(object) = object.as_object_mut() {
        object.insert("file".to_owned(), file_json(&about));
        if let talk::Settled::Sent { sequence, time, .. } = settled {
            object.insert("id".to_owned(), shapes::message_id(conversation, sequence).into());
            object.insert("timestamp".to_owned(), shapes::timestamp(time).into());
            status = StatusCode::OK;
        }
    }
    Ok((status, Json(object)).into_response())
}

/// Where a file goes.
#[derive(Deserialize)]
pub(super) struct Get {
    folder: PathBuf,
    #[serde(default)]
    replace: bool,
}

/// Gets a file into a folder.
pub(super) async fn get(
    State(daemon): State<Daemon>,
    Path((name, sequence)): Path<(String, u64)>,
    wanted: Result<Json<Get>, JsonRejection>,
) -> Result<Json<Value>, Problem> {
    let Json(Get { folder, replace }) = wanted?;
    absolute(&folder)?;
    let conversation = name::conversation(&daemon.node, &name).await?.conversation;
    let (sequence, about) = find(&daemon.node, conversation, Some(Sequence(sequence))).await?;
    // A folder, whatever is there: the name is the sender's, made safe.
    let target = Target { path: folder.join(""), replace };
    let got = files::get(&daemon.node, conversation, about.clone(), target, Arc::new(|_| {})).await?;
    Ok(Json(got_json(conversation, sequence, &about, &got)))
}

/// Where the daemon was started is no place that a program knows.
fn absolute(path: &std::path::Path) -> Result<(), Problem> {
    if path.is_absolute() { Ok(()) } else { Err(Problem::invalid("name the whole path, from the root on")) }
}

impl From<FileError> for Problem {
    fn from(error: FileError) -> Self {
        super::super::exit::Failed::from(error).into()
    }
}
