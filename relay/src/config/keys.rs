//! Every key that a relay knows, in one table: the checks, `config print`, the names of the environment
//! variables and the documentation are made from it.

/// One key of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name, with a dot between a table of the file and a key in it.
    pub name: &'static str,
    /// What it is when nobody sets it; empty for "not set".
    pub default: &'static str,
    /// What may stand there, in words that complete "expected …".
    pub expected: &'static str,
    /// What it does.
    pub doc: &'static str,
}

/// What the names of all environment variables begin with.
pub const ENVIRONMENT_PREFIX: &str = "SOTTO_RELAY_";

/// The environment variable that names the configuration file. It is no key of the file itself.
pub const ENVIRONMENT_FILE: &str = "SOTTO_RELAY_CONFIG";

const ON_OFF: &str = "true or false";
const SIZE: &str = "a number of bytes, as 1048576, 512 MiB or 10 GiB";
const SPAN: &str = "a time, as 30s, 10m, 12h or 90d";
const COUNT: &str = "a whole number";

/// All keys. The order is the order of the printed file: plain keys first, then one table after the other.
pub const KEYS: &[Key] = &[
    Key {
        name: "data_dir",
        default: "sotto-data",
        expected: "a folder",
        doc: "Where everything that must outlive a restart is kept. Made at first start, readable by its owner only.",
    },
    Key {
        name: "listen",
        default: "[::]:4433",
        expected: "an address and port, as [::]:4433 or 192.0.2.1:4433",
        doc: "UDP (QUIC) and TCP (HTTPS, WebSocket) on the same port. [::] takes IPv6 and IPv4.",
    },
    Key {
        name: "http",
        default: "127.0.0.1:8080",
        expected: "an address and port, as 127.0.0.1:8080, or off",
        doc: "Plain HTTP with the same API and the metrics. Not encrypted, so loopback only.",
    },
    Key {
        name: "http_beyond_loopback",
        default: "false",
        expected: ON_OFF,
        doc: "Allows `http` on an address that other machines reach. Only behind a proxy that encrypts.",
    },
    Key {
        name: "public_address",
        default: "",
        expected: "host or host:port, as chat.example.org:4433",
        doc: "How people's devices reach this relay; written into links and invites. Not set: the address of `listen`, or 127.0.0.1 where that is every address.",
    },
    Key {
        name: "domain",
        default: "",
        expected: "the name of this machine, as chat.example.org",
        doc: "Certificates for this name come from an authority (ACME), renewed in time, whose terms you agree to by setting it. Links then carry the name and no fingerprint. The name has to lead here, and port 80 to `acme.http`.",
    },
    Key {
        name: "certificate",
        default: "",
        expected: "a PEM file",
        doc: "The certificate chain, the relay's own certificate first. Not set: one is made at first start and kept in the data folder.",
    },
    Key {
        name: "certificate_key",
        default: "",
        expected: "a PEM file",
        doc: "The private key of `certificate`. Both are read again on SIGHUP.",
    },
    Key {
        name: "certificate_pinned",
        default: "true",
        expected: ON_OFF,
        doc: "Links carry the fingerprint of the certificate, and devices take no other. `false` where an authority that every system trusts vouches for `certificate`: it can then be renewed without new links.",
    },
    Key {
        name: "registration",
        default: "open",
        expected: "open, invite or closed",
        doc: "Who may register an account: anybody, whoever has an invite, nobody.",
    },
    Key {
        name: "first_account_is_operator",
        default: "false",
        expected: ON_OFF,
        doc: "The first account on an empty relay becomes its operator, whatever `registration` says. For a relay that nobody else can reach yet.",
    },
    Key {
        name: "invites",
        default: "users",
        expected: "users or operators",
        doc: "Who may make invites that let people register. Everybody may invite into conversations.",
    },
    Key {
        name: "trusted_proxies",
        default: "0",
        expected: "a whole number",
        doc: "How many proxies of your own stand in front of the HTTP API and append to X-Forwarded-For. 0 ignores the header.",
    },
    Key {
        name: "drain",
        default: "10s",
        expected: SPAN,
        doc: "After SIGTERM or SIGINT: how long connections and started work may take to end in good order.",
    },
    Key {
        name: "acme.directory",
        default: "https://acme-v02.api.letsencrypt.org/directory",
        expected: "an https address",
        doc: "The authority that `domain` gets its certificates from.",
    },
    Key {
        name: "acme.email",
        default: "",
        expected: "an e-mail address",
        doc: "Where the authority may write to.",
    },
    Key {
        name: "acme.http",
        default: "[::]:80",
        expected: "an address and port, as [::]:80",
        doc: "Where the authority looks for the proof that `domain` leads here. Listened on only while a certificate is ordered.",
    },
    Key {
        name: "acme.root",
        default: "",
        expected: "a PEM file",
        doc: "For an authority of your own: what its HTTPS certificate is held against. Not set: the authorities that this machine trusts.",
    },
    Key {
        name: "web.address",
        default: "",
        expected: "an address without a path, as https://chat.example.org",
        doc: "Where people open the web client in a browser; written into invites. Not set: https:// and the public address, or the plain port where there is none. To be set where a proxy in front ends TLS.",
    },
    Key {
        name: "web.origins",
        default: "any",
        expected: "any, none, or addresses without a path, separated by commas",
        doc: "Web pages from elsewhere that may call the API in somebody's browser, as where the web client lies on another host. The client that this relay serves needs none of it. `any` counts on the public port only: what listens on `http` answers to pages that are named here.",
    },
    Key {
        name: "turn.listen",
        default: "127.0.0.1:0",
        expected: "an address and port, as [::]:3478 or 192.0.2.1:3478, or off",
        doc: "STUN and TURN on UDP and TCP: how calls and files get through where no direct way does. The default is for trying things on one machine; [::]:3478 lends them to signed-in devices everywhere. Port 0 takes any that is free; devices are told.",
    },
    Key {
        name: "turn.tls",
        default: "off",
        expected: "an address and port, as [::]:5349, or off",
        doc: "TURN inside TLS, for networks that let nothing else out. Browsers take it only where an authority vouches for the certificate (`domain`, or `certificate_pinned = false`).",
    },
    Key {
        name: "turn.relay_address",
        default: "",
        expected: "an address of this machine, or one of IPv4 and one of IPv6 with a comma between them",
        doc: "What relayed traffic uses here. Not set: the address of `turn.listen`, or what this machine's routes lead out from where that is every address.",
    },
    Key {
        name: "turn.external_address",
        default: "",
        expected: "an address, or one of IPv4 and one of IPv6 with a comma between them",
        doc: "What the world sees `turn.relay_address` as, where a router translates it and keeps the ports.",
    },
    Key {
        name: "turn.ports",
        default: "49152-65535",
        expected: "the first and the last port, as 49152-65535, from 1024 on",
        doc: "The UDP ports that are lent, one for each allocation. To be open in the firewall.",
    },
    Key {
        name: "turn.peers",
        default: "",
        expected: "networks and names of ranges with commas between them, as 10.1.0.0/16,unique_local",
        doc: "Peers that devices may reach beside the public Internet. Refused unless named here: loopback, private, link_local, unique_local, shared, multicast, documentation, mapped, nat64, 6to4, teredo, benchmark, protocol, unspecified, reserved.",
    },
    Key {
        name: "turn.credentials",
        default: "6h",
        expected: "a time from 1s to 7d, as 6h",
        doc: "How long credentials are good that a signed-in device asks for. A call that lasts longer asks for others.",
    },
    Key {
        name: "turn.allocations",
        default: "4096",
        expected: COUNT,
        doc: "Allocations at the same time. Each takes one file descriptor, over TCP and TLS two.",
    },
    Key {
        name: "turn.allocations_per_account",
        default: "64",
        expected: "a whole number, 0 for no limit",
        doc: "Allocations of one account at the same time. A browser takes several for each person that it calls.",
    },
    Key {
        name: "turn.bytes_per_second",
        default: "4 MiB",
        expected: SIZE,
        doc: "What one account may have relayed each second, both directions together, on average; 0 for no limit. What is over is dropped.",
    },
    Key {
        name: "turn.bytes_per_day",
        default: "20 GiB",
        expected: SIZE,
        doc: "What one account may have relayed on one day (UTC); 0 for no limit. Then it gets no allocations until the next.",
    },
    Key {
        name: "retention.age",
        default: "0s",
        expected: SPAN,
        doc: "Entries older than this are deleted, and their disk space is given back. 0s keeps everything.",
    },
    Key {
        name: "retention.shard",
        default: "7d",
        expected: SPAN,
        doc: "The log is kept in folders that each hold this much time; retention deletes whole ones.",
    },
    Key {
        name: "quota.conversation",
        default: "0",
        expected: SIZE,
        doc: "What one conversation may keep on disk; 0 for no limit. A full one refuses new messages and stays readable.",
    },
    Key {
        name: "quota.account",
        default: "0",
        expected: SIZE,
        doc: "What one account may have on disk of all that it wrote, in whatever conversation; 0 for no limit. Nothing more of a full one is taken, and it reads on.",
    },
    Key {
        name: "quota.changes_per_second",
        default: "0",
        expected: "a whole number, 0 for no limit",
        doc: "Messages and other changes that one account may make each second, on average; it may save up ten seconds' worth.",
    },
    Key {
        name: "quota.disk_free",
        default: "256 MiB",
        expected: SIZE,
        doc: "Below this much free disk the relay takes nothing new and still serves what it has. At least 128 MiB.",
    },
    Key {
        name: "files.enabled",
        default: "true",
        expected: ON_OFF,
        doc: "Whether the relay keeps encrypted files for its conversations. With `false` those that are there stay and nobody reads them.",
    },
    Key {
        name: "files.quota",
        default: "20 GiB",
        expected: SIZE,
        doc: "What one account may keep of files that it sent, half uploads included; 0 for no limit. A file counts 64 KiB at least.",
    },
    Key {
        name: "files.largest",
        default: "16 GiB",
        expected: "a number of bytes up to 64 GiB, as 512 MiB or 10 GiB",
        doc: "The largest file, encrypted: 16 bytes for each MiB more than the file itself.",
    },
    Key {
        name: "files.keep",
        default: "30d",
        expected: SPAN,
        doc: "How long a file is kept after it was sent. 0s keeps all. Half uploads go a day after their last chunk.",
    },
    Key {
        name: "backup.every",
        default: "0s",
        expected: SPAN,
        doc: "How often the running relay makes a backup of everything it keeps. 0s makes none.",
    },
    Key {
        name: "backup.keep",
        default: "7",
        expected: "a whole number from 1 on",
        doc: "How many of these backups are kept; the oldest are deleted when a newer one is whole.",
    },
    Key {
        name: "backup.folder",
        default: "",
        expected: "a folder",
        doc: "Where they are kept, best on another disk. Not set: `backups` in the data folder.",
    },
    Key {
        name: "storage.cache",
        default: "32 MiB",
        expected: SIZE,
        doc: "Memory for pages of each open shard of the log, of which there are at most five. The database takes about 2.5 times as much at its peak.",
    },
    Key {
        name: "limits.connections",
        default: "20000",
        expected: COUNT,
        doc: "Connections of devices at the same time. One idle QUIC connection takes about 50 KiB.",
    },
    Key {
        name: "limits.connections_per_address",
        default: "10000",
        expected: COUNT,
        doc: "Connections from one address at the same time. Whole offices sit behind one address.",
    },
    Key {
        name: "limits.authentication",
        default: "10s",
        expected: SPAN,
        doc: "How long a new connection may take to prove who it is.",
    },
    Key {
        name: "limits.idle",
        default: "60s",
        expected: SPAN,
        doc: "A connection that is silent for this long, keep-alives included, is gone. Programs ask for less by themselves: the sotto program for 14 s.",
    },
    Key {
        name: "limits.rates",
        default: "true",
        expected: ON_OFF,
        doc: "Limits how often one address and one account may try to register, sign in and so on. Off only for load tests.",
    },
    Key {
        name: "metrics.public",
        default: "false",
        expected: ON_OFF,
        doc: "Serves /metrics on the public port too, not only on `http`.",
    },
    Key {
        name: "log.format",
        default: "text",
        expected: "text or json",
        doc: "Log lines for people or for programs.",
    },
    Key {
        name: "log.file",
        default: "",
        expected: "a file",
        doc: "Where log lines go. Not set: standard error, where systemd's journal and container runtimes take and rotate them.",
    },
    Key {
        name: "log.file_size",
        default: "64 MiB",
        expected: SIZE,
        doc: "A log file of this size is put aside as `FILE.1`, and another one is begun.",
    },
    Key { name: "log.file_age", default: "7d", expected: SPAN, doc: "So is one of this age." },
    Key {
        name: "log.files",
        default: "8",
        expected: "a whole number from 1 on",
        doc: "How many files are kept that were put aside; the oldest is deleted.",
    },
    Key {
        name: "log.level",
        default: "info",
        expected: "error, warn, info, debug or trace, or a filter as info,sotto_relay=debug",
        doc: "error: the relay is broken. warn: an operator should look. info: starts, stops, connections of note. debug: each connection and request. trace: each frame. Never contents, passwords or tokens.",
    },
    Key {
        name: "telemetry.otlp",
        default: "",
        expected: "an http or https address, as http://127.0.0.1:4318",
        doc: "An OpenTelemetry collector that traces are sent to (OTLP over HTTP, to /v1/traces unless a path is named): a span for each HTTP request and each connection, with ids, never contents.",
    },
    Key {
        name: "telemetry.share",
        default: "1",
        expected: "a number from 0 to 1",
        doc: "The share of traces that are sent.",
    },
    Key {
        name: "telemetry.sentry",
        default: "",
        expected: "a DSN, as https://key@errors.example.org/42",
        doc: "Whoever speaks Sentry's protocol is sent each error of the log, with the warnings before it. Never contents.",
    },
];

impl Key {
    /// The key of a name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// The environment variable that sets it.
    #[must_use]
    pub fn environment(&self) -> String {
        format!("{ENVIRONMENT_PREFIX}{}", self.name.to_ascii_uppercase().replace('.', "_"))
    }
}

/// The known name that takes the fewest changed letters, for "did you mean".
pub(super) fn nearest(wanted: &str, known: impl Iterator<Item = String>) -> Option<String> {
    known.min_by_key(|name| distance(wanted, name))
}

/// Levenshtein's distance between two short texts.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row.get(j + 1).copied().unwrap_or(usize::MAX);
            let changed = diagonal + usize::from(x != *y);
            let best = changed.min(above + 1).min(left + 1);
            diagonal = above;
            if let Some(place) = row.get_mut(j) {
                *place = left;
            }
            left = best;
        }
        if let Some(last) = row.last_mut() {
            *last = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_key_has_a_name_and_an_environment_variable_of_its_own() {
        let names: BTreeSet<_> = KEYS.iter().map(|key| key.name).collect();
        let variables: BTreeSet<_> = KEYS.iter().map(Key::environment).collect();
        assert_eq!(names.len(), KEYS.len());
        assert_eq!(variables.len(), KEYS.len());
        assert!(!variables.contains(ENVIRONMENT_FILE));
    }

    #[test]
    fn distance_counts_changed_letters() {
        for (a, b, changed) in
            [("", "abc", 3), ("listen", "listen", 0), ("lisen", "listen", 1), ("ab", "ba", 2)]
        {
            assert_eq!(distance(a, b), changed, "{a} {b}");
            assert_eq!(distance(b, a), changed, "{b} {a}");
        }
    }
}
