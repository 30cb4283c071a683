//! Somebody whose voice runs in WebRTC that nobody of this project made: the real client, and aiortc (`tests/python/voice.py`) where it has
//! its media.
//!
//! Started with the home of somebody, the Python that has aiortc, and the conversation to call in, or `answer`; then `picture` for one. Says what happens by an
//! object a line, `ready` first; hangs up with the end of its standard input. aiortc knows no ICE restart, so there is one attempt.

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use sotto_node::node::Node;
use sotto_node::store::SqliteStore;
use sotto_node_core::calls::{CallCommand, CallId, CallState, MediaReport, Negotiation};
use sotto_node_core::command::Command;
use sotto_node_core::event::Event;
use sotto_protocol::ids::ConversationId;
use sotto_tests::foreign::{Foreign, ROUND};
use sotto_tests::own_node::{begin, input_ends, say, synchronised};
use std::path::Path;
use std::time::Duration;

/// A quarter of what the core takes for silence.
const ALIVE: Duration = Duration::from_secs(5);

/// What aiortc tells.
#[derive(serde::Deserialize)]
#[serde(tag = "said", rename_all = "snake_case")]
enum Said {
    Ready,
    Description { sdp: String },
    Connected { fingerprint: String },
    Failed,
    Heard { hertz: f64 },
    Seen { colour: [u8; 3] },
}

/// Has it do what the core asks for.
async fn does(voice: &mut Foreign, negotiation: Negotiation, picture: bool) -> Result<()> {
    match negotiation {
        Negotiation::Offer { round: ROUND } => {
            voice.does(&json!({ "do": "offer", "picture": picture })).await
        }
        other => voice.takes(other).await,
    }
}

/// Tells the core. If the call is over meanwhile, an event says so too.
async fn tell(node: &Node<SqliteStore>, command: CallCommand) {
    let _over = node.command(Command::Call(command)).await;
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let home = arguments.next().context("the home")?;
    let python = arguments.next().context("the Python")?;
    let whom = arguments.next().context("a conversation, or `answer`")?;
    let video = arguments.next().is_some_and(|word| word == "picture");
    let mut voice = Foreign::start(&python, "voice.py")?;
    let (node, mut events) = begin(Path::new(&home))?;
    synchronised(&node).await;
    if !matches!(voice.says().await?, Said::Ready) {
        bail!("aiortc is not ready");
    }
    let mut input = input_ends();
    say(&json!({ "type": "ready" }))?;
    if whom != "answer" {
        let conversation: ConversationId = whom.parse()?;
        node.command(Command::Call(CallCommand::Start { conversation, video })).await?;
    }
    let mut current: Option<CallId> = None;
    let mut hung_up = false;
    let mut alive = tokio::time::interval(ALIVE);
    loop {
        tokio::select! {
            event = events.recv() => match event? {
                Event::Call(view) => {
                    say(&json!({ "type": "call", "state": view.state.name() }))?;
                    let call = view.call;
                    current = Some(call);
                    match view.state {
                        CallState::Incoming => tell(&node, CallCommand::Answer { call, video }).await,
                        CallState::Ended(_) => break,
                        _ => {}
                    }
                }
                Event::Negotiate { negotiation, .. } => does(&mut voice, negotiation, video).await?,
                _ => {}
            },
            said = voice.says::<Said>() => {
                let (said, call) = (said?, current.context("there is no call yet")?);
                match said {
                    Said::Ready => bail!("aiortc began anew"),
                    Said::Description { sdp } => {
                        tell(&node, CallCommand::Description { call, round: ROUND, sdp }).await;
                    }
                    Said::Connected { fingerprint } => {
                        let report = MediaReport::Connected { fingerprint };
                        tell(&node, CallCommand::Media { call, report }).await;
                    }
                    Said::Failed => tell(&node, CallCommand::Media { call, report: MediaReport::Failed }).await,
                    Said::Heard { hertz } => say(&json!({ "type": "heard", "hertz": hertz }))?,
                    Said::Seen { colour } => say(&json!({ "type": "seen", "colour": colour }))?,
                }
            },
            _ = &mut input, if !hung_up => {
                hung_up = true;
                let Some(call) = current else { break };
                tell(&node, CallCommand::HangUp { call }).await;
            }
            _ = alive.tick() => if let Some(call) = current {
                tell(&node, CallCommand::Media { call, report: MediaReport::Alive }).await;
            },
        }
    }
    node.stop().await;
    Ok(())
}
