//! Log lines on standard error: text for people or JSON for programs.
//!
//! What the levels mean is part of the configuration's documentation (`log.level`). Ids of accounts, devices
//! and conversations may stand in them; contents, passwords, tokens and keys never do.

use crate::config::{Config, LogFormat};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// Sends the log of this process to standard error, in the configured form. Does nothing if a log was set up before.
pub fn install(config: &Config) {
    let filter = EnvFilter::try_new(&config.log_level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // A second start in one process (tests) keeps the first one's log.
    let _ = match config.log_format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
