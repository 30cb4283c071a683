//! Log lines: text for people or JSON for programs, on standard error or in files that are rotated.
//!
//! What the levels mean is part of the configuration's documentation (`log.level`). Ids of accounts, devices
//! and conversations may stand in them; contents, passwords, tokens and keys never do.

mod rolling;

use crate::config::{Config, LogFormat};
use crate::telemetry::{Telemetry, TelemetryError};
use rolling::RollingFile;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Mutex;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

/// Why lines cannot be written, or told, where they should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The file.
    #[error("cannot write the log to {}: {source}; set `log.file` to a file that this user may write, or leave it out for standard error", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// What is to be told to others.
    #[error("cannot tell traces or errors: {0}; see the keys of `telemetry`")]
    Telemetry(#[from] TelemetryError),
}

/// What a stranger could fill the log with, and slow down each packet: the TURN server's own lines and spans. A filter that
/// names them brings them back.
const QUIET: &str = "turn_server_proto=off,turn_types=off,stun_proto=off,stun_types=off";

/// Sends the log of this process where the configuration says, in its form, and what is made of it to others. Call it on
/// the runtime of the process. Does nothing if a log was set up before.
///
/// # Errors
/// If the file of the log cannot be opened, or nothing can be told to those that the configuration names.
pub fn install(config: &Config) -> Result<Telemetry, LogError> {
    let level = format!("{QUIET},{}", config.log_level);
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new(QUIET.to_owned() + ",info"));
    let (writer, colours) = match &config.log_file {
        Some(rotation) => {
            let file = RollingFile::open(rotation.clone())
                .map_err(|source| LogError::File { path: rotation.path.clone(), source })?;
            (BoxMakeWriter::new(Mutex::new(file)), false)
        }
        None => (BoxMakeWriter::new(io::stderr), io::stderr().is_terminal()),
    };
    let lines = fmt::layer().with_ansi(colours).with_writer(writer);
    let lines = match config.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let (telemetry, mut layers) = Telemetry::start(config)?;
    layers.push(lines.with_filter(filter).boxed());
    // A second start in one process (tests) keeps the first one's log.
    let _ = tracing_subscriber::registry().with(layers).try_init();
    Ok(telemetry)
}
