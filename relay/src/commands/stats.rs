//! `sotto-relay stats`

use super::{CommandError, Printer, day};
use sotto_relay::config::Config;
use sotto_relay::operator::{AskStats, Stats, give};

pub(crate) async fn run(config: &Config, printer: Printer) -> Result<(), CommandError> {
    let stats = give(config, AskStats {}).await?;
    printer.one("stats", &stats, &sentence(&stats))
}

/// A figure a line.
fn sentence(stats: &Stats) -> String {
    let newest =
        stats.newest_backup_ms.map_or_else(|| "none".to_owned(), |mark| format!("newest {}", day(mark)));
    let rows = [
        ("version", stats.version.clone()),
        ("accounts", format!("{} with {} devices", stats.accounts, stats.devices)),
        ("conversations", stats.conversations.to_string()),
        ("entries", format!("{} of {} bytes", stats.entries, stats.entry_bytes)),
        ("log on disk", format!("{} bytes", stats.log_disk_bytes)),
        ("accounts on disk", format!("{} bytes", stats.accounts_disk_bytes)),
        ("disk free", format!("{} bytes", stats.disk_free_bytes)),
        ("backups", format!("{} ({newest})", stats.backups)),
    ];
    rows.map(|(name, value)| format!("{name:<18}{value}")).join("\n")
}
