//! `sotto-relay backup`, `restore` and `verify`.

use super::{CommandError, Printer, day};
use sotto_relay::backup;
use sotto_relay::config::Config;
use sotto_relay::operator::{MakeBackup, give};
use std::path::{Path, PathBuf};

/// Makes one, by the relay if it runs.
pub(crate) async fn make(
    config: &Config,
    printer: Printer,
    folder: Option<PathBuf>,
    keep: Option<usize>,
) -> Result<(), CommandError> {
    // The relay may run somewhere else than this command.
    let absolute = |path: PathBuf| {
        std::path::absolute(&path)
            .map_err(|source| CommandError::File { path: path.display().to_string(), source })
    };
    let folder = folder.map(absolute).transpose()?;
    let made = give(config, MakeBackup { folder, keep }).await?;
    let sentence = format!(
        "{} has everything that was acknowledged before {} ({} bytes)",
        made.backup.display(),
        day(made.mark_ms),
        made.bytes
    );
    printer.one("backup_made", &made, &sentence)
}

/// Makes a data folder of one.
pub(crate) fn restore(
    config: &Config,
    printer: Printer,
    backup: &Path,
    to: &Path,
) -> Result<(), CommandError> {
    let restored = backup::restore(config, backup, to)?;
    let sentence = format!(
        "restored {} as of {} into {to}; start a relay on it with --data-dir {to}",
        restored.backup.display(),
        day(restored.mark_ms),
        to = to.display(),
    );
    printer.one("restored", &restored, &sentence)
}

/// Reads all of one.
pub(crate) fn verify(config: &Config, printer: Printer, backup: Option<PathBuf>) -> Result<(), CommandError> {
    let found = backup::verify(&backup.unwrap_or_else(|| config.backups()))?;
    let sentence = format!(
        "{} is good: everything up to {}, {} conversations with {} messages, {} rows of accounts",
        found.backup.display(),
        day(found.mark_ms),
        found.conversations,
        found.messages,
        found.account_rows,
    );
    printer.one("backup_verified", &found, &sentence)
}
