//! Files: from a disk to a disk, by real programs, beside a bare stream of quinn that does the same.
//!
//! ```text
//! pair    a stream of quinn | directly from who sent it | from the relay | magic-wormhole | iroh        in turn, as often as is asked for
//! browser a bare data channel of a Chromium | from its page to a node, directly                       in turn
//! group   one member alone, then all the others at once, from the one who sent it; what the relay gave meanwhile
//! ```
//!
//! What moves is timed from when the file is asked for (of quinn: from the connection) until it is whole, synced and has its name. The
//! whole command is timed too: it starts a process, opens a store, signs in and catches up.

pub(crate) mod bare;
mod browser;
mod disk;
mod group;
mod iroh;
mod net;
mod usage;
mod wormhole;

use crate::person::{Person, last_object};
use crate::process::{Process, cpu_seconds, peak_kib};
use crate::report::{Files, Report};
use crate::sotto::Sotto;
use crate::target::Target as _;
use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

const GIB: f64 = (1_u64 << 30) as f64;

/// Read, written and compared at once.
const PIECE_BYTES: usize = 1 << 20;

/// What the relay is told: whatever fits on its disk.
const SETTINGS: [(&str, &str); 2] =
    [("SOTTO_RELAY_FILES_QUOTA", "64 GiB"), ("SOTTO_RELAY_FILES_LARGEST", "64 GiB")];

const GROUP: &str = "garden";

/// What `files` takes.
#[derive(clap::Args)]
pub(crate) struct FilesArguments {
    /// How large the file is.
    #[arg(long, default_value = "1GiB", value_parser = size)]
    size: u64,
    /// A file that is one hole, for sizes that the disk does not have twice. Nothing is compressed anywhere, so it is as much work.
    #[arg(long)]
    zeros: bool,
    /// How often all take turns; the table has the median of each figure.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Members of the group. With more than two, all but the sender get the file at once, and what the relay gave is counted.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(2..=64))]
    members: u16,
    /// From a Chromium to a node instead, in turns with a bare data channel between the two. The relay has to be built with its web client.
    #[arg(long, conflicts_with_all = ["members", "rate", "beside"])]
    browser: bool,
    /// Of a group: Mbit/s that each member's line carries outwards. Each member gets a network namespace, which needs root.
    #[arg(long)]
    rate: Option<u32>,
    /// Measures other programs too.
    #[arg(long, value_enum)]
    beside: Vec<Beside>,
    /// The relay's program; by default `sotto-relay` beside this one. `sotto` lies there too.
    #[arg(long)]
    relay: Option<PathBuf>,
    /// Where everything lies; a new folder in it is made and removed. Choose a real disk, not memory.
    #[arg(long, default_value = "target")]
    scratch: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Beside {
    /// Of PyPI, installed into the scratch folder
    MagicWormhole,
    /// One stream of it; of crates.io, built in `loadtest/iroh`
    Iroh,
}

/// Other programs that move a file.
struct Others {
    wormhole: Option<wormhole::Wormhole>,
    iroh: Option<PathBuf>,
}

impl Others {
    async fn install(which: &[Beside], dir: &Path) -> Result<Self> {
        let mut others = Self { wormhole: None, iroh: None };
        for one in which {
            match one {
                Beside::MagicWormhole => others.wormhole = Some(wormhole::Wormhole::install(dir).await?),
                Beside::Iroh => others.iroh = Some(iroh::build().await?),
            }
        }
        Ok(others)
    }
}

/// One file that came from one disk to another.
struct Pass {
    moving_seconds: f64,
    seconds: f64,
    giver_cpu: f64,
    taker_cpu: f64,
    giver_peak_kib: u64,
    taker_peak_kib: u64,
}

impl Pass {
    fn row(&self, way: &str, bytes: u64) -> Files {
        let gib = bytes as f64 / GIB;
        Files {
            way: way.to_owned(),
            bytes,
            mb_per_second: bytes as f64 / 1e6 / self.moving_seconds,
            command_mb_per_second: bytes as f64 / 1e6 / self.seconds,
            giver_cpu_per_gib: self.giver_cpu / gib,
            taker_cpu_per_gib: self.taker_cpu / gib,
            giver_peak_mib: self.giver_peak_kib as f64 / 1_024.0,
            taker_peak_mib: self.taker_peak_kib as f64 / 1_024.0,
        }
    }
}

/// Everything that is asked for, into the report.
pub(crate) async fn measure(arguments: &FilesArguments, report: &mut Report) -> Result<()> {
    let dir = crate::scratch(&arguments.scratch)?;
    let file = dir.path().join("film.mkv");
    make(&file, arguments.size, arguments.zeros)?;
    if arguments.browser {
        report.from_browser = browser::measure(arguments, dir.path(), &file).await?;
    } else if arguments.members > 2 {
        report.groups.push(group::measure(arguments, dir.path(), &file).await?);
    } else {
        report.files = pair(arguments, dir.path(), &file).await?;
    }
    Ok(())
}

async fn pair(arguments: &FilesArguments, dir: &Path, file: &Path) -> Result<Vec<Files>> {
    let bytes = arguments.size;
    let sotto = Sotto::start_with(dir, arguments.relay.as_deref(), &SETTINGS).await?;
    let register = |name: &'static str| Person::register(name, dir.join(name), sotto.link(), None);
    let (alice, bob) = (register("alice").await?, register("bob").await?);
    alice.does(&["create", GROUP, "bob"]).await?;
    eprintln!("sending {bytes} bytes to the relay …");
    let (sent, place) = send(&alice, file, sotto.pid()).await?;
    let seeds = seed(&alice).await?;
    let others = Others::install(&arguments.beside, dir).await?;
    let to = dir.join("got.mkv");
    let mut ways: [Vec<Files>; 5] = Default::default();
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {} …", arguments.rounds);
        let [bare, direct, relayed, by_wormhole, by_iroh] = &mut ways;
        let program = std::env::current_exe()?;
        let pass = plain_pass(&program, ["bare-give", "bare-take"], file, &to).await?;
        bare.push(checked(pass, file, &to)?.row("a stream of quinn", bytes));
        let (pass, given) = get(&bob, &place, &to, seeds.pid(), &[]).await?;
        ensure!(given * 10 >= bytes * 9, "only {given} bytes of {bytes} came directly");
        direct.push(checked(pass, file, &to)?.row("sotto, directly", bytes));
        let (pass, _) = get(&bob, &place, &to, sotto.pid(), &["--relay-only"]).await?;
        relayed.push(checked(pass, file, &to)?.row("sotto, from the relay", bytes));
        if let Some(wormhole) = &others.wormhole {
            let pass = wormhole.passes(file, &to).await?;
            by_wormhole.push(checked(pass, file, &to)?.row("magic-wormhole", bytes));
        }
        if let Some(program) = &others.iroh {
            let pass = plain_pass(program, ["give", "take"], file, &to).await?;
            by_iroh.push(checked(pass, file, &to)?.row("a stream of iroh", bytes));
        }
    }
    seeds.terminate().await?;
    sotto.finish().await?;
    let rows = ways.iter().filter_map(|rounds| Files::median(rounds));
    Ok(rows.chain([sent.row("sotto, to the relay", bytes)]).collect())
}

/// A file of bytes that nobody can guess, or a hole.
fn make(path: &Path, bytes: u64, zeros: bool) -> Result<()> {
    let mut file = File::create(path)?;
    if zeros {
        return Ok(file.set_len(bytes)?);
    }
    let (mut rng, mut piece) = (ChaCha8Rng::seed_from_u64(bytes), vec![0; PIECE_BYTES]);
    let mut left = usize::try_from(bytes)?;
    while left > 0 {
        rng.fill_bytes(&mut piece);
        let now = left.min(PIECE_BYTES);
        file.write_all(piece.get(..now).unwrap_or_default())?;
        left -= now;
    }
    // What lies in memory only would be written beside the first round.
    Ok(file.sync_all()?)
}

/// What came is what was sent; and it makes room for the next.
fn checked(pass: Pass, sent: &Path, came: &Path) -> Result<Pass> {
    let (mut one, mut other) = (File::open(sent)?, File::open(came)?);
    ensure!(one.metadata()?.len() == other.metadata()?.len(), "what came has another length");
    let (mut a, mut b) = (vec![0; PIECE_BYTES], vec![0; PIECE_BYTES]);
    loop {
        let read = one.read(&mut a)?;
        let (Some(a), Some(b)) = (a.get(..read), b.get_mut(..read)) else { break };
        other.read_exact(b)?;
        ensure!(a == &*b, "what came is not what was sent");
        if read == 0 {
            break;
        }
    }
    std::fs::remove_file(came)?;
    Ok(pass)
}

/// Sends the file to the relay; its place in the conversation.
async fn send(person: &Person, file: &Path, relay: u32) -> Result<(Pass, String)> {
    let before = cpu_seconds(relay)?;
    let file = file.to_str().context("a path that is text")?;
    let ran = usage::run(person.command(&["send", GROUP, "--file", file]), |_| {}).await?;
    let sent = last_object(&ran.stdout)?;
    let place = sent["sequence"].as_u64().with_context(|| format!("it was not sent: {sent}"))?;
    let pass = Pass {
        moving_seconds: ran.seconds,
        seconds: ran.seconds,
        giver_cpu: ran.cpu_seconds,
        taker_cpu: cpu_seconds(relay)? - before,
        giver_peak_kib: ran.peak_kib,
        taker_peak_kib: peak_kib(relay)?,
    };
    Ok((pass, place.to_string()))
}

/// Stays and gives.
async fn seed(person: &Person) -> Result<Process> {
    let mut seeds = Process::start(person.command(&["seed"]))?;
    let said: Value = serde_json::from_str(&seeds.line().await?)?;
    ensure!(said["files"].as_u64() > Some(0), "nothing is given: {said}");
    Ok(seeds)
}

/// Gets the file from wherever it comes; and how many bytes came directly.
async fn get(person: &Person, place: &str, to: &Path, giver: u32, more: &[&str]) -> Result<(Pass, u64)> {
    let before = cpu_seconds(giver)?;
    let to = to.to_str().context("a path that is text")?;
    let words = [&["get", GROUP, place, "-o", to], more].concat();
    let ran = usage::run(person.command(&words), |_| {}).await?;
    let got = last_object(&ran.stdout)?;
    let sources = got["sources"].as_array().context("it says from whom it came")?;
    let direct = sources.iter().filter(|source| source["carrier"] == "direct");
    let pass = Pass {
        moving_seconds: got["seconds"].as_f64().context("it says how long it took")?,
        seconds: ran.seconds,
        giver_cpu: cpu_seconds(giver)? - before,
        taker_cpu: ran.cpu_seconds,
        giver_peak_kib: peak_kib(giver)?,
        taker_peak_kib: ran.peak_kib,
    };
    Ok((pass, direct.filter_map(|source| source["bytes"].as_u64()).sum()))
}

/// The same by one stream, of two processes of which one prints where it is.
async fn plain_pass(program: &Path, [give, take]: [&str; 2], file: &Path, to: &Path) -> Result<Pass> {
    let mut command = Command::new(program);
    command.arg(give).arg(file);
    let mut giver = Process::start(command)?;
    let ready = giver.line().await?;
    let mut command = Command::new(program);
    command.arg(take).arg(ready).arg(to).stdin(Stdio::null()).stdout(Stdio::piped());
    let ran = usage::run(command, |_| {}).await?;
    let took: bare::Took = serde_json::from_slice(&ran.stdout)?;
    ensure!(took.bytes == file.metadata()?.len(), "the stream ended early");
    let pass = Pass {
        moving_seconds: took.seconds,
        seconds: ran.seconds,
        giver_cpu: cpu_seconds(giver.pid())?,
        taker_cpu: ran.cpu_seconds,
        giver_peak_kib: peak_kib(giver.pid())?,
        taker_peak_kib: ran.peak_kib,
    };
    giver.finish().await?;
    Ok(pass)
}

/// `10GiB`, `512MiB`, or bytes.
fn size(text: &str) -> Result<u64, String> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = digits.parse().map_err(|_| "a number, then KiB, MiB or GiB".to_owned())?;
    let shift = match unit {
        "" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err("a number, then KiB, MiB or GiB".to_owned()),
    };
    number.checked_shl(shift).filter(|bytes| *bytes > 0).ok_or_else(|| "too large".to_owned())
}
