//! `sotto-relay`: starts a relay, shows its configuration, and carries the operator's orders to it.

mod commands;

use clap::{Args, Parser, Subcommand};
use commands::Printer;
use commands::account::{self, AccountCommand};
use commands::backup;
use commands::compact;
use commands::invite::{self, InviteCommand};
use commands::room::{self, RoomCommand};
use commands::stats;
use sotto_protocol::ids::UnixMillis;
use sotto_relay::config::{self, Config, ConfigError, ENVIRONMENT_FILE, Source, Values};
use sotto_relay::turn::TurnError;
use sotto_relay::{Relay, RunError, StartError, logs, metrics, tls, welcome};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// A Sotto relay: keeps encrypted conversations in order and hands them on. It cannot read them.
#[derive(Debug, Parser)]
#[command(name = "sotto-relay", version, after_help = HELP)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
}

const HELP: &str = "\
Examples:
  sotto-relay                                        start with defaults, data in ./sotto-data
  sotto-relay --data-dir /var/lib/sotto --public-address chat.example.org
  sotto-relay config print > relay.toml              a file of all settings, each explained
  sotto-relay --config relay.toml config check
  sotto-relay --registration invite                  only people with an invite may register;
  sotto-relay invite create --uses 5                 this makes one, also while the relay runs

Every setting can stand in the file, in the environment (SOTTO_RELAY_DATA_DIR=...) or on the command
line (--set limits.connections=5000); the later one wins.

Exit codes:
  0  ended in good order
  1  a command could not be carried out
  2  the command line is wrong
  3  the configuration is wrong
  4  an address cannot be listened on
  5  the data folder, or something in it, cannot be used
  6  the disk failed while running: nothing more was acknowledged; what was acknowledged is on disk";

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the relay (the default).
    Run,
    /// Show or check the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print what each figure of /metrics means, as a Markdown table.
    Metrics,
    /// Accounts: list, create, disable, role, delete. While the relay runs, and while it is stopped.
    #[command(subcommand)]
    Account(AccountCommand),
    /// Invites, for relays that ask for one. While the relay runs, and while it is stopped.
    #[command(subcommand)]
    Invite(InviteCommand),
    /// What the relay keeps, in figures. While the relay runs, and while it is stopped.
    Stats,
    /// Make a backup of everything that the relay keeps. While the relay runs, and while it is stopped.
    Backup {
        /// Where to; default: `backup.folder`.
        folder: Option<PathBuf>,
        /// Delete the oldest backups there, so that this many are left.
        #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
        keep: Option<u16>,
    },
    /// List the backups that are kept, with the moment that each of them has everything before.
    Backups {
        /// A folder of backups; default: `backup.folder`.
        folder: Option<PathBuf>,
    },
    /// Make a data folder from a backup. Nothing is ever written over data.
    Restore {
        /// The backup, or a folder of backups, for its newest.
        backup: PathBuf,
        /// Take the newest whose mark is not after this moment, as 2026-11-21T20:15:00Z.
        #[arg(long, value_name = "TIME", value_parser = backup::read_moment)]
        until: Option<UnixMillis>,
        /// The data folder to make.
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
    },
    /// Prove that a backup reads: checksums, every record, every conversation without a gap.
    Verify {
        /// The backup, or a folder of backups, for its newest; default: `backup.folder`.
        backup: Option<PathBuf>,
    },
    /// Give back the disk space of what was deleted and replaced, while the relay is stopped. Safe to interrupt.
    Compact,
    /// Rooms, in figures. While the relay runs, and while it is stopped.
    #[command(subcommand)]
    Room(RoomCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print every setting with its meaning and its value, as a configuration file.
    Print,
    /// Say whether the configuration is good, without starting.
    Check,
}

#[derive(Debug, Args)]
struct Settings {
    /// A TOML file of settings.
    #[arg(long, short, global = true, value_name = "FILE", env = ENVIRONMENT_FILE)]
    config: Option<PathBuf>,
    /// Where everything is kept.
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<String>,
    /// UDP and TCP for devices.
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Plain HTTP on loopback, or `off`.
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    http: Option<String>,
    /// How devices reach this relay; written into links.
    #[arg(long, global = true, value_name = "HOST[:PORT]")]
    public_address: Option<String>,
    /// Who may register: open, invite or closed.
    #[arg(long, global = true, value_name = "POLICY")]
    registration: Option<String>,
    /// Log lines as text or json.
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Which log lines.
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Any other setting.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// One JSON object a line, on standard output; errors too, on standard error.
    #[arg(long, global = true)]
    json: bool,
}

impl Settings {
    fn values(self) -> Result<Values, ConfigError> {
        let mut values = Values::default();
        if let Some(file) = &self.config {
            values.add_file(file)?;
        }
        values.add_environment(std::env::vars())?;
        for (name, value) in [
            ("data_dir", self.data_dir),
            ("listen", self.listen),
            ("http", self.http),
            ("public_address", self.public_address),
            ("registration", self.registration),
            ("log.format", self.log_format),
            ("log.level", self.log_level),
        ] {
            if let Some(value) = value {
                values.add(name, value, Source::Flag)?;
            }
        }
        for pair in self.set {
            let Some((name, value)) = pair.split_once('=') else {
                return Err(ConfigError::Together("--set takes KEY=VALUE, as --set limits.connections=5000"));
            };
            values.add(name.trim(), value.trim().to_owned(), Source::Flag)?;
        }
        Ok(values)
    }
}

/// What a process ends with; the numbers are part of the interface and stand in the help.
#[derive(Debug, Clone, Copy)]
enum Exit {
    Failed = 1,
    Config = 3,
    Listen = 4,
    Data = 5,
    Disk = 6,
}

impl From<&StartError> for Exit {
    fn from(error: &StartError) -> Self {
        match error {
            StartError::Listen(_) | StartError::Turn(TurnError::Listen(_)) => Self::Listen,
            StartError::Turn(TurnError::NoAddress) => Self::Config,
            StartError::Tls(tls::TlsError::Folder(_))
            | StartError::Folder(_)
            | StartError::Accounts(_)
            | StartError::Engine(_) => Self::Data,
            StartError::Tls(_) => Self::Config,
            _ => Self::Failed,
        }
    }
}

fn main() -> ExitCode {
    // Before anything else can ask rustls for its default.
    tls::install_provider();
    let cli = Cli::parse();
    let json = cli.settings.json;
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err((exit, message)) if json => {
            let error = serde_json::json!({ "type": "error", "exit": exit as u8, "error": message });
            // As below.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::from(exit as u8)
        }
        Err((exit, message)) => {
            // Nothing is left to do if even standard error is closed.
            let _ = writeln!(std::io::stderr(), "sotto-relay: {message}");
            ExitCode::from(exit as u8)
        }
    }
}

/// What a process ends with, and its sentence.
type Failure = (Exit, String);

fn run(cli: Cli) -> Result<(), Failure> {
    let wrong = |error: ConfigError| (Exit::Config, error.to_string());
    let printer = Printer { json: cli.settings.json };
    let values = cli.settings.values().map_err(wrong)?;
    let config = Config::from_values(&values).map_err(wrong)?;
    match cli.command {
        None | Some(Command::Run) => {
            let runtime = runtime()?;
            let telemetry = {
                let _inside = runtime.enter();
                logs::install(&config).map_err(|error| (Exit::Config, error.to_string()))?
            };
            let ended = runtime.block_on(run_relay(config));
            telemetry.finish();
            ended
        }
        Some(Command::Config(ConfigCommand::Print)) if printer.json => {
            commands::run(async { printer.many("setting", &config::rows(&values), [], |_| []) })
        }
        Some(Command::Config(ConfigCommand::Print)) => say(&config::print(&values)),
        Some(Command::Config(ConfigCommand::Check)) => commands::run(async {
            printer.one("config_checked", &serde_json::json!({ "good": true }), "the configuration is good")
        }),
        Some(Command::Metrics) => say(&metrics::markdown(metrics::all())),
        Some(Command::Account(command)) => commands::run(account::run(&config, printer, command)),
        Some(Command::Invite(command)) => commands::run(invite::run(&config, printer, command)),
        Some(Command::Backup { folder, keep }) => {
            commands::run(backup::make(&config, printer, folder, keep.map(usize::from)))
        }
        Some(Command::Backups { folder }) => backup::list(&config, printer, folder).map_err(Failure::from),
        Some(Command::Restore { backup, until, to }) => {
            backup::restore(&config, printer, &backup, until, &to).map_err(Failure::from)
        }
        Some(Command::Verify { backup }) => backup::verify(&config, printer, backup).map_err(Failure::from),
        Some(Command::Compact) => compact::run(&config, printer).map_err(Failure::from),
        Some(Command::Stats) => commands::run(stats::run(&config, printer)),
        Some(Command::Room(command)) => commands::run(room::run(&config, printer, command)),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    built.map_err(|error| (Exit::Failed, format!("cannot start threads: {error}")))
}

async fn run_relay(config: Config) -> Result<(), Failure> {
    let mut signals =
        Signals::catch().map_err(|error| (Exit::Failed, format!("cannot catch signals: {error}")))?;
    let mut relay = Relay::start(config).await.map_err(|error| (Exit::from(&error), error.to_string()))?;
    say(&welcome(&relay))?;
    let ended = loop {
        tokio::select! {
            ended = relay.ended() => break ended,
            asked = signals.next() => match asked {
                Asked::Reload => relay.reload_certificate(),
                Asked::Stop(signal) => {
                    tracing::info!(signal, "stopping");
                    break relay.stop().await;
                }
            },
        }
    };
    ended.map_err(|error| match error {
        RunError::Engine(_) | RunError::Accounts(_) => (Exit::Disk, error.to_string()),
        _ => (Exit::Failed, error.to_string()),
    })
}

/// What a relay is asked by a signal.
enum Asked {
    /// To read the certificate again.
    Reload,
    /// To stop.
    Stop(&'static str),
}

/// What asks a relay to stop, or to read its certificate again. Caught before it starts, so that none is missed.
#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn catch() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Asked::Stop("SIGINT"),
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn catch() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Asked {
        if tokio::signal::ctrl_c().await.is_err() {
            // No signal can be waited for; the process is then stopped from outside.
            std::future::pending::<()>().await;
        }
        Asked::Stop("Ctrl-C")
    }
}

/// To standard output. A closed pipe is no reason for a relay to end.
fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err((Exit::Failed, format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
