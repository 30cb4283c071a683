//! Somebody whose data channels run in WebRTC that nobody of this project made: the real client, and aiortc (`tests/python/channel.py`) where
//! it has its links.
//!
//! Started with the home of somebody, the Python that has aiortc, the conversation and the place of a file in it, and what to do: `take` the
//! file from whoever has it, piece by piece, into a path, or `give` what lies there to whoever asks. Says what happens by an object a
//! line, `ready` first. Who takes ends with the file, who gives with its standard input.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use sotto_e2ee::file::{FileAbout, Sealer};
use sotto_node::node::Node;
use sotto_node::store::SqliteStore;
use sotto_node_core::calls::Candidate;
use sotto_node_core::command::Command;
use sotto_node_core::event::Event;
use sotto_node_core::peers::asking::{Answer, Asking};
use sotto_node_core::peers::{
    AskId, Asked, ChannelCommand, ChannelNews, LinkId, PeerCommand, PeerEvent, Reach,
};
use sotto_node_core::view::Line;
use sotto_protocol::blob::{ChunkList, Present};
use sotto_protocol::hex;
use sotto_protocol::ids::{ConversationId, Sequence};
use sotto_protocol::peer::{CHANNEL, MESSAGE_BYTES_MAX, Question, Wanted, answering, read_asking};
use sotto_tests::foreign::{Foreign, ROUND};
use sotto_tests::own_node::{begin, input_ends, say, synchronised};
use std::path::{Path, PathBuf};

/// What aiortc tells.
#[derive(serde::Deserialize)]
#[serde(tag = "said", rename_all = "snake_case")]
enum Said {
    Ready,
    Description { sdp: String },
    Open { label: String },
    Message { bytes: String },
    Failed,
    Closed,
}

/// A description, and the candidates that were in it: they travel by themselves, each looked at.
fn parted(sdp: &str) -> (String, Vec<Candidate>) {
    let is_way = |line: &&str| line.starts_with("a=candidate:") || line.starts_with("a=end-of-candidates");
    let ways =
        sdp.lines().filter_map(|line| line.strip_prefix("a=")).filter(|line| line.starts_with("candidate:"));
    let ways = ways.map(|line| Candidate { line: line.to_owned(), mid: None, section: Some(0) }).collect();
    (sdp.split_inclusive('\n').filter(|line| !is_way(line)).collect(), ways)
}

/// A file, sealed as it lies at a relay.
struct Sealed {
    list: ChunkList,
    chunks: Vec<Vec<u8>>,
}

impl Sealed {
    fn of(about: &FileAbout, plain: &[u8]) -> Result<Self> {
        let sealer = Sealer::new(&about.key, about.bytes).context("a size")?;
        let (mut chunks, mut hashes) = (Vec::new(), Vec::new());
        for chunk in 0..sealer.size().chunks() {
            let (start, bytes) = sealer.part(chunk).context("a part")?;
            let start = usize::try_from(start)?;
            let part = plain.get(start..start + bytes).context("the file has another length")?;
            let sealed = sealer.seal(chunk, part).map_err(|error| anyhow::anyhow!("{error:?}"))?;
            hashes.push(sealer.hash(chunk, &sealed).context("a hash")?);
            chunks.push(sealed);
        }
        let list = sealer.list(hashes).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        ensure!(list.root() == about.root, "this is another file");
        Ok(Self { list, chunks })
    }

    fn answer(&self, wanted: Wanted) -> Option<Vec<u8>> {
        match wanted {
            Wanted::List => Some(self.list.to_bytes()),
            Wanted::Present => Some(Present::all(self.list.size()).as_bytes().to_vec()),
            Wanted::Chunk(chunk) => self.chunks.get(usize::try_from(chunk).ok()?).cloned(),
        }
    }
}

/// What is left to take of a file.
struct Taking {
    about: FileAbout,
    sealer: Sealer,
    asking: Asking<Wanted>,
    list: Option<ChunkList>,
    next: u32,
    parts: Vec<Option<Vec<u8>>>,
}

impl Taking {
    fn new(about: FileAbout) -> Result<Self> {
        let sealer = Sealer::new(&about.key, about.bytes).context("a size")?;
        let parts = vec![None; usize::try_from(sealer.size().chunks())?];
        Ok(Self { about, sealer, asking: Asking::default(), list: None, next: 0, parts })
    }

    /// The questions that may be asked now.
    fn questions(&mut self) -> Vec<Vec<u8>> {
        let (root, size) = (self.about.root, self.sealer.size());
        let mut questions = Vec::new();
        if self.list.is_none() {
            let list = Question { root, wanted: Wanted::List };
            questions.extend(self.asking.ask(Wanted::List, list, size.list_bytes()));
            return questions;
        }
        while let Some(bytes) = size.chunk_bytes(self.next).filter(|_| self.asking.has_room()) {
            let wanted = Wanted::Chunk(self.next);
            questions.extend(self.asking.ask(wanted, Question { root, wanted }, bytes));
            self.next += 1;
        }
        questions
    }

    /// Takes a message; true when an answer was whole. Each is held against the root that came inside MLS.
    fn take(&mut self, message: &[u8]) -> Result<bool> {
        let Some(Answer { of, came }) = self.asking.take(message)? else { return Ok(false) };
        let came = came.with_context(|| format!("{of:?} is not there"))?;
        match of {
            Wanted::List => self.list = Some(ChunkList::read(self.about.root, self.sealer.size(), &came)?),
            Wanted::Chunk(chunk) => {
                let list = self.list.as_ref().context("the list comes first")?;
                ensure!(list.is_chunk(chunk, &came), "chunk {chunk} is not the file's");
                let part = self.sealer.open(chunk, &came).map_err(|error| anyhow::anyhow!("{error:?}"))?;
                let place = self.parts.get_mut(usize::try_from(chunk)?).context("a place")?;
                *place = Some(part.to_vec());
            }
            Wanted::Present => {}
        }
        Ok(true)
    }

    fn whole(&self) -> Option<Vec<u8>> {
        let parts: Option<Vec<&[u8]>> = self.parts.iter().map(Option::as_deref).collect();
        parts.map(|parts| parts.concat())
    }
}

enum Work {
    Give(Sealed),
    Take(Box<Taking>),
}

async fn send(foreign: &mut Foreign, message: &[u8]) -> Result<()> {
    foreign.does(&json!({ "do": "send", "bytes": hex::text(message) })).await
}

async fn command(node: &Node<SqliteStore>, command: PeerCommand) -> Result<()> {
    node.command(Command::Peer(command)).await?;
    Ok(())
}

/// One link of this device, by what it is: asked for, or come of a question.
struct Link {
    id: LinkId,
    /// Of one that is given from.
    asked: Option<Asked>,
}

struct World {
    node: Node<SqliteStore>,
    foreign: Foreign,
    conversation: ConversationId,
    work: Work,
    link: Option<Link>,
    path: PathBuf,
}

impl World {
    /// Says that it makes channels and nothing else, and what for.
    async fn begin(&self, about: &FileAbout) -> Result<()> {
        let (conversation, root) = (self.conversation, about.root);
        command(&self.node, PeerCommand::Network(Some(Reach::Channels))).await?;
        match self.work {
            Work::Give(_) => {
                command(&self.node, PeerCommand::Channel(ChannelCommand::Holds { conversation, root })).await
            }
            Work::Take(_) => {
                let ask = AskId(rand::random());
                command(&self.node, PeerCommand::Want { ask, conversation, root }).await
            }
        }
    }

    async fn heard(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Peer(PeerEvent::Asked(asked)) if self.link.is_none() => {
                self.link = Some(Link { id: LinkId(rand::random()), asked: Some(asked) });
                self.foreign.does(&json!({ "do": "offer", "label": CHANNEL })).await
            }
            Event::Peer(PeerEvent::Channel(news)) => {
                let ChannelNews { link, what, .. } = *news;
                let known = self.link.get_or_insert(Link { id: link, asked: None });
                if known.id == link { self.foreign.takes(what).await } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    /// True when there is nothing left to do.
    async fn told(&mut self, said: Said) -> Result<bool> {
        match said {
            Said::Ready => bail!("aiortc began anew"),
            Said::Description { sdp } => self.describe(&sdp).await?,
            Said::Open { label } => {
                say(&json!({ "type": "open", "label": label }))?;
                self.ask().await?;
            }
            Said::Message { bytes } => {
                let message = hex::read_all(&bytes).context("hex digits")?;
                return self.came(&message).await;
            }
            Said::Failed => bail!("aiortc found no way"),
            Said::Closed => say(&json!({ "type": "closed" }))?,
        }
        Ok(false)
    }

    async fn describe(&self, sdp: &str) -> Result<()> {
        let Link { id: link, asked } = self.link.as_ref().context("of which link")?;
        let (link, round, (sdp, list)) = (*link, ROUND, parted(sdp));
        let own = match *asked {
            Some(asked) => ChannelCommand::Offer { link, asked, round, sdp },
            None => ChannelCommand::Answer { link, round, sdp },
        };
        command(&self.node, PeerCommand::Channel(own)).await?;
        command(&self.node, PeerCommand::Channel(ChannelCommand::Candidates { link, round, list })).await
    }

    async fn ask(&mut self) -> Result<()> {
        let Work::Take(taking) = &mut self.work else { return Ok(()) };
        for question in taking.questions() {
            send(&mut self.foreign, &question).await?;
        }
        Ok(())
    }

    async fn came(&mut self, message: &[u8]) -> Result<bool> {
        match &mut self.work {
            Work::Give(sealed) => {
                let (number, question) = read_asking(message).context("a question")?;
                ensure!(question.root == sealed.list.root(), "another file is asked for");
                say(&json!({ "type": "asked", "for": format!("{:?}", question.wanted) }))?;
                let answer = answering(number, sealed.answer(question.wanted).as_deref());
                for message in answer.chunks(MESSAGE_BYTES_MAX) {
                    send(&mut self.foreign, message).await?;
                }
            }
            Work::Take(taking) => {
                if !taking.take(message)? {
                    return Ok(false);
                }
                if let Some(whole) = taking.whole() {
                    std::fs::write(&self.path, &whole)?;
                    say(&json!({ "type": "got", "bytes": whole.len() }))?;
                    return Ok(true);
                }
                self.ask().await?;
            }
        }
        Ok(false)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |what: &'static str| arguments.next().context(what);
    let (home, python) = (argument("the home")?, argument("the Python")?);
    let conversation: ConversationId = argument("the conversation")?.parse()?;
    let place = Sequence(argument("the place of the file")?.parse()?);
    let (way, path) = (argument("take or give")?, PathBuf::from(argument("a path")?));
    let foreign = Foreign::start(&python, "channel.py")?;
    let (node, mut events) = begin(Path::new(&home))?;
    synchronised(&node).await;
    let line = node.ask(move |client| client.line(conversation, place)).await??;
    let Some(Line::File { about, .. }) = line.map(|line| line.line) else { bail!("there is no file") };
    let work = match way.as_str() {
        "give" => Work::Give(Sealed::of(&about, &std::fs::read(&path)?)?),
        "take" => Work::Take(Box::new(Taking::new(about.clone())?)),
        _ => bail!("take or give"),
    };
    let mut world = World { node, foreign, conversation, work, link: None, path };
    ensure!(matches!(world.foreign.says().await?, Said::Ready), "aiortc is not ready");
    world.begin(&about).await?;
    let mut input = input_ends();
    say(&json!({ "type": "ready" }))?;
    loop {
        tokio::select! {
            event = events.recv() => world.heard(event?).await?,
            said = world.foreign.says::<Said>() => if world.told(said?).await? { break },
            _ = &mut input => break,
        }
    }
    world.node.stop().await;
    Ok(())
}
