//! `call`, `answer`.

use std::path::PathBuf;
use std::time::Duration;

/// What `call` takes.
#[derive(clap::Args)]
pub(crate) struct Call {
    /// Whom: @username, or the name or id of a direct conversation
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) sound: Sound,
}

/// What `answer` takes.
#[derive(clap::Args)]
pub(crate) struct Answer {
    /// Only a call in this conversation: @username, or its name or id
    #[arg(long, value_name = "NAME")]
    pub(crate) from: Option<String>,
    /// How long to wait for a call, in seconds [default: until Ctrl-C]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) wait: Option<Duration>,
    #[command(flatten)]
    pub(crate) sound: Sound,
}

/// Files in the place of sound devices.
#[derive(clap::Args)]
pub(crate) struct Sound {
    /// A WAV file that the other one hears, again and again; without one it is quiet here
    #[arg(long, value_name = "FILE")]
    pub(crate) microphone: Option<PathBuf>,
    /// A WAV file that what the other one says is written into; one that is there is replaced
    #[arg(long, value_name = "FILE")]
    pub(crate) speaker: Option<PathBuf>,
    /// Hang up when the two have talked for so many seconds
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) talk: Option<Duration>,
}

/// A number of seconds, up to a day; parts of one count.
fn seconds(text: &str) -> Result<Duration, String> {
    const DAY: f64 = 86_400.0;
    let number = text.parse().ok().filter(|number| (0.001..=DAY).contains(number));
    number.map(Duration::from_secs_f64).ok_or_else(|| "a number of seconds, at most 86400".to_owned())
}
