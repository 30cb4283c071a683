//! A browser gives a file to a node: by a link as everybody has it, and as many bytes by a bare data channel between the same Chromium and
//! the same library of WebRTC, with the same messages and buffers (`loadtest/web/give.mjs`).

use super::{FilesArguments, GIB, GROUP, SETTINGS, checked, get};
use crate::person::Person;
use crate::process::{Process, cpu_seconds};
use crate::report::FromBrowser;
use crate::sotto::Sotto;
use crate::target::Target as _;
use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use serde_json::{Value, json};
use sotto_node::peers::runtime;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tokio::process::Command;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCPeerConnectionIceEvent,
    RTCSessionDescription,
};

/// Nobody's (RFC 5737): the system is asked for its way there, and nothing is sent.
const ANYWHERE: &str = "192.0.2.1:9";

/// The browser, with somebody in it.
struct Giver(Process);

impl Giver {
    async fn start(url: &str, file: &Path) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/give.mjs");
        let file = std::path::absolute(file)?;
        let task = json!({ "url": url, "file": file, "group": GROUP, "name": "alice" });
        let mut command = Command::new("node");
        command.arg(script).arg(task.to_string());
        let process = Process::start(command)
            .context("Node.js is needed, with the packages of web/ui (`cargo xtask setup` gets them)")?;
        let mut giver = Self(process);
        giver.says("here").await?;
        Ok(giver)
    }

    async fn says(&mut self, what: &str) -> Result<Value> {
        let said: Value = serde_json::from_str(&self.0.line().await?)?;
        ensure!(said["said"] == what, "the browser should say `{what}`: {said}");
        Ok(said)
    }

    async fn does(&mut self, order: &Value, says: &str) -> Result<Value> {
        self.0.tell(&order.to_string()).await?;
        self.says(says).await
    }
}

/// One file, or as many bytes.
struct Pass {
    seconds: f64,
    bytes: u64,
    cpu: f64,
}

impl Pass {
    fn row(&self, way: &str) -> FromBrowser {
        FromBrowser {
            way: way.to_owned(),
            bytes: self.bytes,
            mb_per_second: self.bytes as f64 / 1e6 / self.seconds,
            taker_cpu_per_gib: self.cpu / (self.bytes as f64 / GIB),
        }
    }
}

/// In turns: the bare channel, and the file.
pub(super) async fn measure(arguments: &FilesArguments, dir: &Path, file: &Path) -> Result<Vec<FromBrowser>> {
    let bytes = arguments.size;
    let sotto = Sotto::start_with(dir, arguments.relay.as_deref(), &SETTINGS).await?;
    let mut browser = Giver::start(&format!("http://{}/", sotto.http()), file).await?;
    let bob = Person::register("bob", dir.join("bob"), sotto.link(), None).await?;
    bob.does(&["create", GROUP, "alice"]).await?;
    eprintln!("the browser sends {bytes} bytes to the relay …");
    browser.does(&json!({ "do": "send" }), "sent").await?;
    let sent = bob.does(&["history", GROUP, "-n", "1"]).await?;
    let place = sent["sequence"].as_u64().with_context(|| format!("it was not sent: {sent}"))?.to_string();
    let to = dir.join("got.mkv");
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {} …", arguments.rounds);
        bare.push(bare_pass(&mut browser, bytes).await?.row("a bare data channel"));
        let (pass, direct) = get(&bob, &place, &to, sotto.pid(), &[]).await?;
        ensure!(direct * 10 >= bytes * 9, "only {direct} bytes of {bytes} came directly");
        let pass = checked(pass, file, &to)?;
        let pass = Pass { seconds: pass.moving_seconds, bytes: direct, cpu: pass.taker_cpu };
        ours.push(pass.row("sotto, from a browser to a node"));
    }
    browser.0.finish().await?;
    sotto.finish().await?;
    Ok([bare, ours].iter().filter_map(|rounds| FromBrowser::median(rounds)).collect())
}

/// What the connection says.
enum Told {
    Way(String),
    Channel(Arc<dyn DataChannel>),
}

struct Handler(UnboundedSender<Told>);

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        if let Ok(init) = event.candidate.to_json() {
            let _ = self.0.send(Told::Way(init.candidate));
        }
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        let _ = self.0.send(Told::Channel(channel));
    }
}

/// So many bytes on a channel that is made for it, from when it is open until all are there. They go nowhere.
async fn bare_pass(browser: &mut Giver, bytes: u64) -> Result<Pass> {
    let own = UdpSocket::bind("0.0.0.0:0")?;
    own.connect(ANYWHERE)?;
    let (tell, mut told) = unbounded_channel();
    let peer = PeerConnectionBuilder::new()
        .with_runtime(runtime().context("within a runtime")?)
        .with_handler(Arc::new(Handler(tell)))
        .with_udp_addrs(vec![format!("{}:0", own.local_addr()?.ip())])
        .build()
        .await?;
    let offer = browser.does(&json!({ "do": "bare", "bytes": bytes }), "offer").await?;
    let sdp = offer["sdp"].as_str().context("a description")?;
    // The browser finds the way: what it calls itself nobody here could look up.
    let sdp = sdp.split_inclusive('\n').filter(|line| !line.starts_with("a=candidate:")).collect();
    peer.set_remote_description(RTCSessionDescription::offer(sdp)?).await?;
    let answer = peer.create_answer(None).await?;
    let sdp = answer.sdp.clone();
    peer.set_local_description(answer).await?;
    let Some(Told::Way(way)) = told.recv().await else { anyhow::bail!("no way to here was found") };
    let answer = json!({ "do": "answer", "sdp": sdp, "way": way });
    let receives = async {
        let channel = loop {
            if let Told::Channel(channel) = told.recv().await.context("the connection ended")? {
                break channel;
            }
        };
        let (before, began) = (cpu_seconds(std::process::id())?, Instant::now());
        let mut came = 0;
        while came < bytes {
            match channel.poll().await {
                Some(DataChannelEvent::OnMessage(message)) => came += message.data.len() as u64,
                Some(_) => {}
                None => anyhow::bail!("the channel ended after {came} bytes"),
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        let cpu = cpu_seconds(std::process::id())? - before;
        channel.close().await?;
        Ok(Pass { seconds, bytes: came, cpu })
    };
    let (given, pass) = tokio::join!(browser.does(&answer, "given"), receives);
    given?;
    peer.close().await?;
    pass
}
