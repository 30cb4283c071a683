//! What the relay measures of itself. One table ([`METRICS`]) is what Prometheus is told, what `/metrics`
//! explains and what the documentation is made from.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;

/// What kind of number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows; 0 at start.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution of observed values.
    Histogram,
}

/// One metric with what it means.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name on `/metrics`.
    pub name: &'static str,
    /// What kind of number.
    pub kind: MetricKind,
    /// Its labels with their possible values; empty where there are none.
    pub labels: &'static str,
    /// What it counts, when it moves, what a surprising value means.
    pub help: &'static str,
}

/// Connections that are authenticated now.
pub const CONNECTIONS: &str = "sotto_connections";
/// Connections that were opened.
pub const CONNECTIONS_OPENED: &str = "sotto_connections_opened_total";
/// Connections that were refused or ended by the relay.
pub const CONNECTIONS_REFUSED: &str = "sotto_connections_refused_total";
/// Frames received.
pub const FRAMES_RECEIVED: &str = "sotto_frames_received_total";
/// Bytes sent.
pub const BYTES_SENT: &str = "sotto_bytes_sent_total";
/// Bytes received.
pub const BYTES_RECEIVED: &str = "sotto_bytes_received_total";
/// Time of a durable change of the accounts' store.
pub const ACCOUNTS_COMMIT_SECONDS: &str = "sotto_accounts_commit_seconds";

/// Backups.
pub const BACKUPS: &str = "sotto_backups_total";
/// When the last one was made.
pub const BACKUP_TIME: &str = "sotto_backup_last_timestamp_seconds";

/// Conversations that are nearly full.
pub const CONVERSATIONS_NEAR_QUOTA: &str = "sotto_conversations_near_quota";
/// How full the fullest is.
pub const CONVERSATION_FULLEST: &str = "sotto_conversation_fullest_ratio";
/// Accounts that have nearly used up their quota.
pub const ACCOUNTS_NEAR_QUOTA: &str = "sotto_accounts_near_quota";
/// How much of it the one with the most has used.
pub const ACCOUNT_FULLEST: &str = "sotto_account_fullest_ratio";

/// Orders of certificates.
pub const CERTIFICATE_ORDERS: &str = "sotto_certificate_orders_total";
/// When the certificate of `domain` ends.
pub const CERTIFICATE_EXPIRES: &str = "sotto_certificate_expires_timestamp_seconds";

/// Allocations of TURN.
pub const TURN_ALLOCATIONS: &str = "sotto_turn_allocations";
/// Those that were made.
pub const TURN_ALLOCATED: &str = "sotto_turn_allocated_total";
/// Credentials given out.
pub const TURN_CREDENTIALS: &str = "sotto_turn_credentials_total";
/// Requests refused.
pub const TURN_REFUSALS: &str = "sotto_turn_refusals_total";
/// Packets relayed.
pub const TURN_PACKETS: &str = "sotto_turn_packets_total";
/// Bytes relayed.
pub const TURN_BYTES: &str = "sotto_turn_bytes_total";
/// Packets not relayed.
pub const TURN_DROPPED: &str = "sotto_turn_dropped_total";
/// Answers to who asks where he is.
pub const TURN_BINDINGS: &str = "sotto_turn_bindings_total";

/// Files kept.
pub const FILES: &str = "sotto_files";
/// Their bytes.
pub const FILE_BYTES: &str = "sotto_file_bytes";
/// Chunks that came and went.
pub const FILE_CHUNKS: &str = "sotto_file_chunks_total";
/// Files that went by themselves.
pub const FILES_ENDED: &str = "sotto_files_ended_total";
/// Uploads and chunks refused.
pub const FILE_REFUSALS: &str = "sotto_file_refusals_total";

/// Every metric of the sessions and the accounts' store.
pub const METRICS: &[Metric] = &[
    Metric {
        name: CONNECTIONS,
        kind: MetricKind::Gauge,
        labels: "",
        help: "Devices that are connected and authenticated now.",
    },
    Metric {
        name: CONNECTIONS_OPENED,
        kind: MetricKind::Counter,
        labels: "transport = quic | websocket | webtransport",
        help: "Connections that were authenticated. Growing much faster than sotto_connections: devices lose their connections.",
    },
    Metric {
        name: CONNECTIONS_REFUSED,
        kind: MetricKind::Counter,
        labels: "reason = limit | handshake | timeout | version | token | device | malformed | unexpected",
        help: "Connections that ended before they were authenticated, or for bytes that are no frames.",
    },
    Metric {
        name: FRAMES_RECEIVED,
        kind: MetricKind::Counter,
        labels: "",
        help: "Frames received from authenticated devices.",
    },
    Metric {
        name: BYTES_RECEIVED,
        kind: MetricKind::Counter,
        labels: "",
        help: "Bytes of frames received from authenticated devices, without transport and TLS.",
    },
    Metric {
        name: BYTES_SENT,
        kind: MetricKind::Counter,
        labels: "",
        help: "Bytes of frames sent to authenticated devices, without transport and TLS.",
    },
    Metric {
        name: BACKUPS,
        kind: MetricKind::Counter,
        labels: "outcome = made | failed",
        help: "Backups that the relay made, or could not make; the log says why.",
    },
    Metric {
        name: BACKUP_TIME,
        kind: MetricKind::Gauge,
        labels: "",
        help: "The mark of the newest backup, in seconds since 1970; 0 if there is none. Older than twice `backup.every`: look at the log.",
    },
    Metric {
        name: CONVERSATIONS_NEAR_QUOTA,
        kind: MetricKind::Gauge,
        labels: "",
        help: "Conversations that keep at least 80 % of `quota.conversation`, looked at each minute; absent without one. A full one takes no new messages; the log and `stats` name them.",
    },
    Metric {
        name: CONVERSATION_FULLEST,
        kind: MetricKind::Gauge,
        labels: "",
        help: "What the fullest conversation keeps, as a share of `quota.conversation`; absent without one.",
    },
    Metric {
        name: ACCOUNTS_NEAR_QUOTA,
        kind: MetricKind::Gauge,
        labels: "",
        help: "Accounts that have at least 80 % of `quota.account` in the log, looked at each minute. Nothing more of a full one is taken; the log and `stats` name them.",
    },
    Metric {
        name: ACCOUNT_FULLEST,
        kind: MetricKind::Gauge,
        labels: "",
        help: "What the account with the most has in the log, as a share of `quota.account`; 0 without one.",
    },
    Metric {
        name: CERTIFICATE_ORDERS,
        kind: MetricKind::Counter,
        labels: "outcome = ok | failed",
        help: "Certificates ordered for `domain`. Failed ones are tried again every 20 minutes; the log says why.",
    },
    Metric {
        name: CERTIFICATE_EXPIRES,
        kind: MetricKind::Gauge,
        labels: "",
        help: "When the certificate of `domain` ends, in seconds since 1970; 0 without one. It is renewed when a third of its life is left.",
    },
    Metric {
        name: TURN_ALLOCATIONS,
        kind: MetricKind::Gauge,
        labels: "",
        help: "Allocations of TURN now. Near `turn.allocations`: others get none.",
    },
    Metric {
        name: TURN_ALLOCATED,
        kind: MetricKind::Counter,
        labels: "transport = udp | tcp | tls | websocket",
        help: "Addresses lent. Much tls or websocket: people are in networks that let nothing else out.",
    },
    Metric {
        name: TURN_CREDENTIALS,
        kind: MetricKind::Counter,
        labels: "",
        help: "Credentials for TURN given to signed-in devices.",
    },
    Metric {
        name: TURN_REFUSALS,
        kind: MetricKind::Counter,
        labels: "reason = password | credentials | expired | quota | full | peer | peers | unsupported | malformed",
        help: "Requests to TURN refused. password, credentials: forged, or of a sign-in that ended or another start; peer: somebody tried to reach a range that `turn.peers` does not name.",
    },
    Metric {
        name: TURN_PACKETS,
        kind: MetricKind::Counter,
        labels: "to = peers | clients",
        help: "Packets relayed by TURN.",
    },
    Metric {
        name: TURN_BYTES,
        kind: MetricKind::Counter,
        labels: "to = peers | clients",
        help: "Bytes relayed by TURN, without headers: what counts for the quotas.",
    },
    Metric {
        name: TURN_DROPPED,
        kind: MetricKind::Counter,
        labels: "reason = quota | peer | full",
        help: "Packets that TURN did not relay: over the account's rate or day, to a refused peer, or a socket without room.",
    },
    Metric {
        name: TURN_BINDINGS,
        kind: MetricKind::Counter,
        labels: "",
        help: "STUN: answers over UDP to who asks as which address he is seen.",
    },
    Metric {
        name: FILES,
        kind: MetricKind::Gauge,
        labels: "",
        help: "Files that the relay keeps, half uploads included.",
    },
    Metric {
        name: FILE_BYTES,
        kind: MetricKind::Gauge,
        labels: "",
        help: "Bytes of them, as announced. They take as much of the disk when they are whole.",
    },
    Metric {
        name: FILE_CHUNKS,
        kind: MetricKind::Counter,
        labels: "direction = in | out",
        help: "Chunks of files of 1 MiB at most that were taken and given out.",
    },
    Metric {
        name: FILES_ENDED,
        kind: MetricKind::Counter,
        labels: "reason = expired | abandoned",
        help: "Files deleted because `files.keep` was over, and half uploads that nobody went on with for a day.",
    },
    Metric {
        name: FILE_REFUSALS,
        kind: MetricKind::Counter,
        labels: "reason = quota | large | full | hash",
        help: "Uploads and chunks refused. hash: a chunk was not the one of the list; many of them: somebody's line or memory is broken, or somebody tries.",
    },
    Metric {
        name: ACCOUNTS_COMMIT_SECONDS,
        kind: MetricKind::Histogram,
        labels: "",
        help: "From a change of the accounts' store (registration, key packages, invites) to its fsync.",
    },
];

/// Upper bounds of histogram buckets, in seconds: 50 us to 2.5 s.
const BUCKETS_SECONDS: &[f64] =
    &[0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// The recorder of this process. All relays of one process (tests) share it.
///
/// # Panics
/// If another recorder than this one was installed in the process before.
pub fn install() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let handle = PrometheusBuilder::new()
            .set_buckets(BUCKETS_SECONDS)
            .expect("the list of buckets is not empty")
            .install_recorder()
            .expect("this process installs no other recorder");
        METRICS.iter().copied().chain(of_signaling()).for_each(describe);
        handle
    })
}

/// Every metric of the relay, wherever it is counted.
pub fn all() -> impl Iterator<Item = Metric> {
    METRICS.iter().copied().chain(of_signaling()).chain(crate::exporter::table())
}

/// The metrics of accounts and the HTTP API.
fn of_signaling() -> impl Iterator<Item = Metric> {
    use sotto_signaling::metrics::{Figure, Kind, TABLE};
    TABLE.into_iter().map(|Figure { name, kind, labels, help }| {
        let kind = match kind {
            Kind::Counter => MetricKind::Counter,
            Kind::Histogram => MetricKind::Histogram,
        };
        Metric { name, kind, labels, help }
    })
}

/// Tells the recorder what a metric means.
fn describe(metric: Metric) {
    match metric.kind {
        MetricKind::Counter => {
            metrics::describe_counter!(metric.name, metric.help);
            // Without labels it is there from the start, with 0.
            if metric.labels.is_empty() {
                metrics::counter!(metric.name).increment(0);
            }
        }
        MetricKind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
        MetricKind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
    }
}

/// A table of metrics as Markdown.
#[must_use]
pub fn markdown(table: impl Iterator<Item = Metric>) -> String {
    let rows = table.map(|metric| {
        let labels = metric.labels.replace('|', "\\|");
        format!("| `{}` | {:?} | {labels} | {} |\n", metric.name, metric.kind, metric.help)
    });
    let head = "| metric | kind | labels | meaning |\n|---|---|---|---|\n".to_owned();
    std::iter::once(head).chain(rows).collect()
}
