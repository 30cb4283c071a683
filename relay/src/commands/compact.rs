//! `sotto-relay compact`

use super::{CommandError, Printer};
use sotto_relay::compact;
use sotto_relay::config::Config;

pub(crate) fn run(config: &Config, printer: Printer) -> Result<(), CommandError> {
    let done = compact::compact(config)?;
    let sentence = format!(
        "{} databases were written anew: {} bytes before, {} now; the relay can be started again",
        done.databases, done.before_bytes, done.after_bytes
    );
    printer.one("compacted", &done, &sentence)
}
