//! `sotto-relay backup`, `restore` and `verify`.

use super::{CommandError, Printer, day};
use sotto_protocol::ids::UnixMillis;
use sotto_relay::backup;
use sotto_relay::config::Config;
use sotto_relay::operator::{MakeBackup, give};
use std::path::{Path, PathBuf};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

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
    until: Option<UnixMillis>,
    to: &Path,
) -> Result<(), CommandError> {
    let restored = backup::restore(config, backup, until, to)?;
    let sentence = format!(
        "restored {} as of {} into {to}; start a relay on it with --data-dir {to}",
        restored.backup.display(),
        day(restored.mark_ms),
        to = to.display(),
    );
    printer.one("restored", &restored, &sentence)
}

/// Lists those that are kept.
pub(crate) fn list(config: &Config, printer: Printer, folder: Option<PathBuf>) -> Result<(), CommandError> {
    let kept = backup::kept(&folder.unwrap_or_else(|| config.backups()))?;
    let head = ["everything before", "bytes", "backup"];
    printer.many("backup", &kept, head, |row| {
        [moment(row.mark_ms), row.bytes.to_string(), row.backup.display().to_string()]
    })
}

/// A moment as people write it: RFC 3339, as 2026-11-21T20:15:00Z.
pub(crate) fn read_moment(text: &str) -> Result<UnixMillis, String> {
    let read = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|error| format!("{error}; write it as 2026-11-21T20:15:00Z"))?;
    u64::try_from(read.unix_timestamp_nanos() / 1_000_000)
        .map(UnixMillis)
        .map_err(|_| "it is before 1970".to_owned())
}

/// To the millisecond, so that it can be given to `--until`.
fn moment(ms: u64) -> String {
    let since = time::Duration::milliseconds(i64::try_from(ms).unwrap_or(i64::MAX));
    let moment = OffsetDateTime::UNIX_EPOCH.checked_add(since);
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{ms} ms"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_back_to_the_millisecond() {
        assert_eq!(moment(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
        assert_eq!(read_moment("2023-11-14T22:13:20.123Z"), Ok(UnixMillis(1_700_000_000_123)));
        assert_eq!(read_moment("2023-11-14T23:13:20+01:00"), Ok(UnixMillis(1_700_000_000_000)));
        for wrong in ["yesterday", "2023-11-14", "1960-01-01T00:00:00Z"] {
            assert!(read_moment(wrong).is_err(), "{wrong}");
        }
    }
}
