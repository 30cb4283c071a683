//! Somebody whose voice runs in WebRTC that nobody of this project made: the real client, and aiortc (`tests/python/voice.py`) where it has
//! its media.
//!
//! Started with the home of somebody, the Python that has aiortc, and the conversation to call in, or `answer`; then `picture` for one. Says what happens by an
//! object a line, `ready` first; hangs up with the end of its standard input. aiortc knows no ICE restart, so there is one attempt.

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use sotto_node::node::Node;
use sotto_node::store::SqliteStore;
use sotto_node_core::calls::{CallCommand, CallId, CallState, Candidate, MediaReport, Negotiation};
use sotto_node_core::command::Command;
use sotto_node_core::event::Event;
use sotto_protocol::ids::ConversationId;
use sotto_tests::own_node::{begin, synchronised};
use sotto_tests::programs::repository;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::oneshot;

/// A quarter of what the core takes for silence.
const ALIVE: Duration = Duration::from_secs(5);

/// The one attempt to connect.
const ROUND: u32 = 0;

/// aiortc in a process of its own.
struct Voice {
    _process: Child,
    orders: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
}

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

impl Voice {
    fn start(python: &str) -> Result<Self> {
        let mut process = tokio::process::Command::new(python)
            .arg(repository().join("tests/python/voice.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{python} does not start"))?;
        let orders = process.stdin.take().context("its input is a pipe")?;
        let stdout = process.stdout.take().context("its output is a pipe")?;
        Ok(Self { _process: process, orders, said: BufReader::new(stdout).lines() })
    }

    async fn says(&mut self) -> Result<Said> {
        let line = self.said.next_line().await?.context("aiortc has ended")?;
        Ok(serde_json::from_str(&line)?)
    }

    /// Has it do what the core asks for.
    async fn does(&mut self, negotiation: Negotiation, picture: bool) -> Result<()> {
        let order = match negotiation {
            Negotiation::Offer { round: ROUND } => json!({ "do": "offer", "picture": picture }),
            Negotiation::Description { round: ROUND, offer, sdp } => {
                json!({ "do": if offer { "take_offer" } else { "take_answer" }, "sdp": sdp })
            }
            Negotiation::Candidates { round: ROUND, list } => {
                let way =
                    |one: &Candidate| json!({ "line": one.line, "mid": one.mid, "section": one.section });
                json!({ "do": "take_candidates", "list": list.iter().map(way).collect::<Vec<_>>() })
            }
            later => bail!("the first attempt led nowhere, and there is no other: {later:?}"),
        };
        Ok(self.orders.write_all(format!("{order}\n").as_bytes()).await?)
    }
}

fn say(object: &Value) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{object}")?)
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
    let mut voice = Voice::start(&python)?;
    let (node, mut events) = begin(Path::new(&home))?;
    synchronised(&node).await;
    if !matches!(voice.says().await?, Said::Ready) {
        bail!("aiortc is not ready");
    }
    let (ended, mut input) = oneshot::channel();
    std::thread::spawn(move || ended.send(std::io::stdin().read_to_end(&mut Vec::new())));
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
                Event::Negotiate { negotiation, .. } => voice.does(negotiation, video).await?,
                _ => {}
            },
            said = voice.says() => {
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
