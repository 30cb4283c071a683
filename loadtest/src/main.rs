//! Load generator and side-by-side baselines.
//!
//! A figure without its neighbour says little on a shared machine, so each command measures Sotto and the
//! attainable limit ([`bare`]) in the same run, in turn, and reports ratios. Everything runs on loopback, for
//! a bounded time.

mod bare;
mod bare_client;
mod files;
mod fill;
mod person;
mod process;
mod report;
mod screen;
mod search;
mod sotto;
mod target;
mod turn;
mod web;

pub(crate) use sotto_loadtest::{drive, raw};

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use drive::Plan;
use report::{Idle, Report, Talk};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use target::Target;

/// Measures a Sotto relay beside a bare quinn relay that fsyncs per batch, in one run on loopback; files beside a bare stream; and the
/// terminal interface with many messages.
///
/// Build it and the relay with `--release` first: `cargo build --release -p sotto-relay -p sotto-loadtest`.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Print JSON instead of tables.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Pairs that write to each other: messages per second, latency, CPU, time in fsync.
    Talk(TalkArguments),
    /// Connections that do nothing but show signs of life: memory of the relay for each, and its CPU.
    Idle {
        /// How many (file descriptors are no limit: QUIC shares sockets).
        #[arg(long, default_value_t = 5_000)]
        connections: usize,
        #[command(flatten)]
        common: Common,
    },
    /// The terminal interface: milliseconds from a key to what it changes on the screen.
    Screen {
        /// How many messages one conversation has.
        #[arg(long, default_value_t = 100_000)]
        messages: usize,
        /// The relay's program; by default `sotto-relay` beside this one. `sotto` lies there too.
        #[arg(long)]
        relay: Option<PathBuf>,
        /// Where store and relay keep their data; a new folder in it is made and removed. Choose a real disk, not memory.
        #[arg(long, default_value = "target")]
        scratch: PathBuf,
    },
    /// Full-text searches in the store of one device, without a relay.
    Search {
        /// Messages in the store.
        #[arg(long, default_value_t = 100_000)]
        messages: u64,
        /// How many searches.
        #[arg(long, default_value_t = 400)]
        queries: usize,
        /// Where the store is made and removed. Choose a real disk, not memory.
        #[arg(long, default_value = "target")]
        scratch: PathBuf,
    },
    /// A browser: until a page can be used, until a message is there, and scrolling through many.
    Web {
        /// Messages to scroll through.
        #[arg(long, default_value_t = 100_000)]
        messages: usize,
        /// Visits of each page; the table has the medians.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// The relay's program, built with its web client; by default `sotto-relay` beside this one.
        #[arg(long)]
        relay: Option<PathBuf>,
        /// Where relay and store keep their data; a new folder in it is made and removed.
        #[arg(long, default_value = "target")]
        scratch: PathBuf,
    },
    /// Files by real programs, beside a bare stream of quinn: speed, CPU and memory of both ends; and in a group.
    Files(files::FilesArguments),
    /// TURN beside Debian's coturn: packets relayed for each CPU second, by coturn's own client.
    Turn {
        /// Allocations at a time.
        #[arg(long, default_value_t = 10)]
        clients: u32,
        /// Packets of each, one in a millisecond.
        #[arg(long, default_value_t = 3_000)]
        packets: u32,
        /// Bytes of each packet.
        #[arg(long, default_value_t = 1_000)]
        bytes: u32,
        /// How often the two take turns; the table has the median of each figure.
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
        rounds: u32,
        /// The relay's program; by default `sotto-relay` beside this one.
        #[arg(long)]
        relay: Option<PathBuf>,
        /// Where the relay keeps its data; a new folder in it is made and removed.
        #[arg(long, default_value = "target")]
        scratch: PathBuf,
    },
    /// The bare relay alone, as `talk` and `idle` start it. Ends when its standard input is closed.
    #[command(hide = true)]
    BareRelay { dir: PathBuf },
    /// One end of a bare stream, as `files` starts it: gives a file until its standard input is closed.
    #[command(hide = true)]
    BareGive { file: PathBuf },
    /// The other end: what the giver printed, and where the file goes.
    #[command(hide = true)]
    BareTake { ready: String, to: PathBuf },
}

#[derive(Args)]
struct TalkArguments {
    /// Pairs, each with one sender and one receiver.
    #[arg(long, default_value_t = 100)]
    pairs: usize,
    /// Unacknowledged messages per sender; repeat for several runs.
    #[arg(long, default_values_t = [1, 16])]
    outstanding: Vec<usize>,
    /// Seconds that are counted, after two that are not.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How often the two relays take turns; the table has the median of each figure.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Common {
    /// The relay's program; by default `sotto-relay` beside this one.
    #[arg(long)]
    relay: Option<PathBuf>,
    /// Where the relays keep their data; a new folder in it is made and removed. Choose a real disk, not memory.
    #[arg(long, default_value = "target")]
    scratch: PathBuf,
    /// Measure only the bare relay.
    #[arg(long)]
    bare_only: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a cryptography provider was installed before main"))?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> Result<()> {
    let mut report = Report::default();
    match arguments.command {
        Command::BareRelay { dir } => return bare::serve(&dir).await,
        Command::BareGive { file } => return files::bare::give(&file).await,
        Command::BareTake { ready, to } => return files::bare::take(&ready, &to).await,
        Command::Files(files) => files::measure(&files, &mut report).await?,
        Command::Talk(talk) => {
            for &outstanding in &talk.outstanding {
                let (mut base, mut ours) = (Vec::new(), Vec::new());
                for _ in 0..talk.rounds {
                    let dir = scratch(&talk.common.scratch)?;
                    let bare = bare_client::Bare::start(dir.path()).await?;
                    base.push(measure_talk(bare, &talk, outstanding).await?);
                    if !talk.common.bare_only {
                        let dir = scratch(&talk.common.scratch)?;
                        let sotto = sotto::Sotto::start(dir.path(), talk.common.relay.as_deref()).await?;
                        ours.push(measure_talk(sotto, &talk, outstanding).await?);
                    }
                }
                report.talk.extend(Talk::median(&base).into_iter().chain(Talk::median(&ours)));
            }
        }
        Command::Idle { connections, common } => {
            let dir = scratch(&common.scratch)?;
            let bare = bare_client::Bare::start(dir.path()).await?;
            report.idle.push(measure_idle(bare, connections).await?);
            if !common.bare_only {
                let dir = scratch(&common.scratch)?;
                let sotto = sotto::Sotto::start(dir.path(), common.relay.as_deref()).await?;
                report.idle.push(measure_idle(sotto, connections).await?);
            }
        }
        Command::Screen { messages, relay, scratch: place } => {
            let dir = scratch(&place)?;
            report.screen = screen::measure(dir.path(), relay.as_deref(), messages).await?;
        }
        Command::Web { messages, rounds, relay, scratch: place } => {
            let dir = scratch(&place)?;
            report.web.push(web::measure(dir.path(), relay.as_deref(), messages, rounds).await?);
        }
        Command::Turn { clients, packets, bytes, rounds, relay, scratch: place } => {
            let dir = scratch(&place)?;
            let load = turn::Load { clients, packets, bytes };
            report.turn = turn::measure(dir.path(), relay.as_deref(), load, rounds).await?;
        }
        Command::Search { messages, queries, scratch: place } => {
            let dir = scratch(&place)?;
            report.search.push(search::measure(dir.path(), messages, queries)?);
        }
    }
    let text = if arguments.json { serde_json::to_string_pretty(&report)? } else { report.markdown() };
    println!("{text}");
    Ok(())
}

fn scratch(place: &Path) -> Result<tempfile::TempDir> {
    std::fs::create_dir_all(place)?;
    Ok(tempfile::Builder::new().prefix("loadtest-").tempdir_in(place)?)
}

async fn measure_talk<T: Target>(mut target: T, talk: &TalkArguments, outstanding: usize) -> Result<Talk> {
    let endpoints = target::endpoints()?;
    eprintln!("{}: connecting {} pairs …", T::NAME, talk.pairs);
    let started = Instant::now();
    let pairs = target.pairs(&endpoints, talk.pairs).await?;
    eprintln!("{}: talking for {} s with {outstanding} outstanding …", T::NAME, talk.seconds);
    let plan =
        Plan { outstanding, warm_up: Duration::from_secs(2), measured: Duration::from_secs(talk.seconds) };
    let (pid, mut cpu) = (target.pid(), Vec::new());
    let (busy_from, fsync_before) = (Instant::now(), target.totals().await?.fsync_seconds);
    let outcome = drive::talk(pairs, plan, || cpu.push(process::cpu_seconds(pid))).await?;
    let fsync_seconds = target.totals().await?.fsync_seconds - fsync_before;
    let busy_seconds = busy_from.elapsed().as_secs_f64().min(started.elapsed().as_secs_f64());
    target.finish().await?;
    let cpu = cpu.into_iter().collect::<Result<Vec<f64>>>()?;
    let cpu_seconds = cpu.last().unwrap_or(&0.0) - cpu.first().unwrap_or(&0.0);
    Ok(Talk {
        relay: T::NAME.to_owned(),
        pairs: talk.pairs,
        outstanding,
        messages_per_second: outcome.acknowledged as f64 / outcome.seconds,
        latency_p50_ms: outcome.latency_us.value_at_quantile(0.5) as f64 / 1_000.0,
        latency_p99_ms: outcome.latency_us.value_at_quantile(0.99) as f64 / 1_000.0,
        relay_cpu_seconds_per_1000: 1_000.0 * cpu_seconds / outcome.acknowledged as f64,
        fsync_share: fsync_seconds / busy_seconds,
    })
}

/// Some rounds of signs of life.
const IDLE_MEASURED: Duration = Duration::from_secs(20);

async fn measure_idle<T: Target>(mut target: T, connections: usize) -> Result<Idle> {
    let endpoints = target::endpoints()?;
    let before = target.prepare_idle(connections).await?;
    eprintln!("{}: connecting {connections} devices …", T::NAME);
    let links = target.idle(&endpoints, connections).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let after = process::resident_kib(target.pid())?;
    let (cpu_before, began) = (process::cpu_seconds(target.pid())?, Instant::now());
    tokio::time::sleep(IDLE_MEASURED).await;
    let cpu_seconds = process::cpu_seconds(target.pid())? - cpu_before;
    let cpu_percent = 100.0 * cpu_seconds / began.elapsed().as_secs_f64();
    anyhow::ensure!(
        links.iter().all(|link| link.connection.close_reason().is_none()),
        "a connection was lost"
    );
    drop(links);
    target.finish().await?;
    Ok(Idle {
        relay: T::NAME.to_owned(),
        connections,
        kib_per_connection: after.saturating_sub(before) as f64 / connections as f64,
        cpu_percent,
    })
}
