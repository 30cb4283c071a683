//! The engine's numbers as Prometheus text. The engine counts in plain atomics; here each gets its name, its
//! unit and its meaning, in one table.

use crate::engine::EngineMetrics;
use crate::engine::metrics::{Histogram, Number};
use crate::metrics::{Metric, MetricKind};
use std::fmt::Write as _;

/// Where a metric's numbers are.
enum Read {
    Number(fn(&EngineMetrics) -> &Number),
    /// Microseconds, shown in seconds.
    NumberMicros(fn(&EngineMetrics) -> &Number),
    Histogram(fn(&EngineMetrics) -> &Histogram),
    /// Microseconds, shown in seconds.
    HistogramMicros(fn(&EngineMetrics) -> &Histogram),
    Refusals,
}

struct Row {
    metric: Metric,
    read: Read,
}

const fn row(name: &'static str, kind: MetricKind, help: &'static str, read: Read) -> Row {
    Row { metric: Metric { name, kind, labels: "", help }, read }
}

use MetricKind::{Counter, Gauge, Histogram as Distribution};
use Read::{HistogramMicros, NumberMicros};

/// Every metric of the engine.
const ROWS: &[Row] = &[
    row("sotto_messages_total", Counter, "Application messages made durable.", Read::Number(|m| &m.messages)),
    row(
        "sotto_commits_total",
        Counter,
        "Changes of membership or keys accepted.",
        Read::Number(|m| &m.commits),
    ),
    row(
        "sotto_message_bytes_total",
        Counter,
        "Bytes of messages and archive copies made durable, before the store's own overhead.",
        Read::Number(|m| &m.message_bytes),
    ),
    row(
        "sotto_batches_total",
        Counter,
        "Batches written: each is one flush and one fsync for all that arrived meanwhile.",
        Read::Number(|m| &m.batches),
    ),
    row(
        "sotto_batch_entries",
        Distribution,
        "Entries in one batch. Grows with the load.",
        Read::Histogram(|m| &m.batch_entries),
    ),
    row(
        "sotto_batch_write_seconds",
        Distribution,
        "From the start of writing a batch until its fsync returned.",
        HistogramMicros(|m| &m.batch_write_us),
    ),
    row(
        "sotto_log_fsync_seconds",
        Distribution,
        "The fsync alone. Tens of milliseconds mean a slow or busy disk.",
        HistogramMicros(|m| &m.fsync_us),
    ),
    row(
        "sotto_committer_busy_seconds_total",
        Counter,
        "Time the committer spent deciding, encoding and fanning out.",
        NumberMicros(|m| &m.busy_us),
    ),
    row(
        "sotto_committer_writing_seconds_total",
        Counter,
        "Time the committer spent writing batches and waiting for their fsync.",
        NumberMicros(|m| &m.writing_us),
    ),
    row(
        "sotto_committer_idle_seconds_total",
        Counter,
        "Time the committer waited for work. Hardly growing: the relay is at its limit.",
        NumberMicros(|m| &m.idle_us),
    ),
    row("sotto_checkpoints_total", Counter, "Checkpoints written.", Read::Number(|m| &m.checkpoints)),
    row(
        "sotto_checkpoint_seconds",
        Distribution,
        "Writing one checkpoint.",
        HistogramMicros(|m| &m.checkpoint_us),
    ),
    row("sotto_pushes_total", Counter, "Runs of entries pushed to followers.", Read::Number(|m| &m.pushes)),
    row(
        "sotto_behind_total",
        Counter,
        "Conversations that stopped being pushed to a receiver because it was too slow.",
        Read::Number(|m| &m.behind),
    ),
    row(
        "sotto_ephemerals_total",
        Counter,
        "Ephemerals routed to a receiver.",
        Read::Number(|m| &m.ephemerals),
    ),
    row(
        "sotto_ephemerals_dropped_total",
        Counter,
        "Ephemerals dropped because their receiver was too slow.",
        Read::Number(|m| &m.ephemerals_dropped),
    ),
    row("sotto_fetches_total", Counter, "Fetches answered.", Read::Number(|m| &m.fetches)),
    row("sotto_fetch_seconds", Distribution, "Answering one fetch.", HistogramMicros(|m| &m.fetch_us)),
    row("sotto_verify_seconds", Distribution, "Verifying one commit.", HistogramMicros(|m| &m.verify_us)),
    row(
        "sotto_repeats_total",
        Counter,
        "Appends that were answered again. Growing fast: devices lose answers.",
        Read::Number(|m| &m.repeats),
    ),
    row("sotto_sessions", Gauge, "Sessions attached to the log now.", Read::Number(|m| &m.sessions)),
    row("sotto_conversations", Gauge, "Conversations known.", Read::Number(|m| &m.conversations)),
    row(
        "sotto_stored_bytes",
        Gauge,
        "Bytes of entries kept, before the store's own overhead.",
        Read::Number(|m| &m.stored_bytes),
    ),
    row(
        "sotto_disk_free_bytes",
        Gauge,
        "Free bytes on the disk of the data folder when last looked at.",
        Read::Number(|m| &m.disk_free_bytes),
    ),
    row(
        "sotto_storage_full",
        Gauge,
        "1 while new messages are refused because the disk is full.",
        Read::Number(|m| &m.storage_full),
    ),
    Row {
        metric: Metric {
            name: "sotto_refusals_total",
            kind: Counter,
            labels: "code = the name of a wire error",
            help: "Requests about conversations that were refused.",
        },
        read: Read::Refusals,
    },
];

/// What each metric of the engine means.
pub fn table() -> impl Iterator<Item = Metric> {
    ROWS.iter().map(|row| row.metric)
}

const MICROS: f64 = 1e-6;

/// Appends all of them, as they are now.
pub fn render(metrics: &EngineMetrics, out: &mut String) {
    for Row { metric, read } in ROWS {
        let name = metric.name;
        let kind = match metric.kind {
            Counter => "counter",
            Gauge => "gauge",
            Distribution => "histogram",
        };
        let _ = writeln!(out, "# HELP {name} {}\n# TYPE {name} {kind}", metric.help);
        let _ = match read {
            Read::Number(number) => writeln!(out, "{name} {}", number(metrics).get()),
            NumberMicros(number) => writeln!(out, "{name} {}", seconds(number(metrics).get(), MICROS)),
            Read::Histogram(histogram) => write_histogram(out, name, histogram(metrics), 1.0),
            HistogramMicros(histogram) => write_histogram(out, name, histogram(metrics), MICROS),
            Read::Refusals => {
                for (code, count) in metrics.refusals() {
                    let _ = writeln!(out, "{name}{{code=\"{code:?}\"}} {count}");
                }
                Ok(())
            }
        };
        out.push('\n');
    }
}

fn write_histogram(out: &mut String, name: &str, histogram: &Histogram, unit: f64) -> std::fmt::Result {
    // Counted first: values that come while this is written must not make a bucket exceed the count.
    let count = histogram.count();
    for (bound, below) in histogram.cumulative() {
        writeln!(out, "{name}_bucket{{le=\"{}\"}} {}", seconds(bound, unit), below.min(count))?;
    }
    writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}")?;
    writeln!(out, "{name}_sum {}\n{name}_count {count}", seconds(histogram.sum(), unit))
}

/// A number of units as Prometheus wants it. Precise to 2^53 microseconds, 285 years.
fn seconds(value: u64, unit: f64) -> f64 {
    value as f64 * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_rendered_once_with_its_meaning() {
        let mut text = String::new();
        render(&EngineMetrics::default(), &mut text);
        for metric in table() {
            assert_eq!(text.matches(&format!("# TYPE {} ", metric.name)).count(), 1, "{}", metric.name);
        }
        assert!(text.contains("sotto_log_fsync_seconds_bucket{le=\"+Inf\"} 0"));
        assert!(text.contains("sotto_refusals_total{code=\"Stale\"} 0"));
    }
}
