//! The table that people read and the JSON that programs do.

use serde::Serialize;

/// The median of one figure.
fn middle<T>(rounds: &[T], figure: fn(&T) -> f64) -> f64 {
    let mut figures: Vec<f64> = rounds.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Pairs that talk: one round, or the medians of several.
#[derive(Serialize, Clone)]
pub(crate) struct Talk {
    pub(crate) relay: String,
    pub(crate) pairs: usize,
    pub(crate) outstanding: usize,
    pub(crate) messages_per_second: f64,
    pub(crate) latency_p50_ms: f64,
    pub(crate) latency_p99_ms: f64,
    pub(crate) relay_cpu_seconds_per_1000: f64,
    /// The share of the relay's whole time that its committer spent in fsync.
    pub(crate) fsync_share: f64,
}

impl Talk {
    /// One row of several rounds: each figure is the median of its own. `None` without rounds.
    pub(crate) fn median(rounds: &[Self]) -> Option<Self> {
        let mut row = rounds.first()?.clone();
        row.messages_per_second = middle(rounds, |round| round.messages_per_second);
        row.latency_p50_ms = middle(rounds, |round| round.latency_p50_ms);
        row.latency_p99_ms = middle(rounds, |round| round.latency_p99_ms);
        row.relay_cpu_seconds_per_1000 = middle(rounds, |round| round.relay_cpu_seconds_per_1000);
        row.fsync_share = middle(rounds, |round| round.fsync_share);
        Some(row)
    }
}

/// Connections that do nothing.
#[derive(Serialize, Clone)]
pub(crate) struct Idle {
    pub(crate) relay: String,
    pub(crate) connections: usize,
    pub(crate) kib_per_connection: f64,
    /// Of one core, for all connections together.
    pub(crate) cpu_percent: f64,
}

/// What a person waits for in a browser.
#[derive(Serialize, Clone)]
pub(crate) struct Web {
    pub(crate) rounds: usize,
    /// The base: from navigation to a field that can be typed into, and to the first echo of a plain page.
    pub(crate) echo_usable_ms: f64,
    pub(crate) echo_first_ms: f64,
    /// From navigation, with nothing cached, to a first screen that can be used.
    pub(crate) sign_in_usable_ms: f64,
    /// From signing in on a new browser to the first decrypted message.
    pub(crate) first_message_ms: f64,
    /// So many messages came, until the last was on the page.
    pub(crate) messages: usize,
    pub(crate) received_s: f64,
    /// Scrolling back through so many of them: frames, and how far they are apart.
    pub(crate) scrolled: usize,
    pub(crate) frames: usize,
    pub(crate) frame_p50_ms: f64,
    pub(crate) frame_p99_ms: f64,
    pub(crate) frame_max_ms: f64,
}

/// Questions to one device's history.
#[derive(Serialize, Clone)]
pub(crate) struct Search {
    pub(crate) messages: u64,
    pub(crate) queries: usize,
    /// The first one of a process.
    pub(crate) first_ms: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// What one takes of a core, whatever else the machine does.
    pub(crate) cpu_ms: f64,
    pub(crate) index_bytes_per_message: f64,
}

/// A key of the terminal interface, until what it changes is on the screen.
#[derive(Serialize, Clone)]
pub(crate) struct Screen {
    pub(crate) what: &'static str,
    /// How many messages the conversation has.
    pub(crate) messages: usize,
    /// How often it was pressed.
    pub(crate) times: usize,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
}

/// What is relayed for others: one round, or the medians of several.
#[derive(Serialize, Clone)]
pub(crate) struct Turn {
    pub(crate) server: String,
    /// Packets, in both directions.
    pub(crate) relayed: u64,
    pub(crate) lost: u64,
    pub(crate) mib_per_second: f64,
    pub(crate) packets_per_cpu_second: f64,
    pub(crate) cpu_seconds_per_gib: f64,
}

impl Turn {
    /// One row of several rounds: each figure is the median of its own, and what was lost is all. `None` without rounds.
    pub(crate) fn median(rounds: &[Self]) -> Option<Self> {
        let mut row = rounds.first()?.clone();
        row.lost = rounds.iter().map(|round| round.lost).sum();
        row.mib_per_second = middle(rounds, |round| round.mib_per_second);
        row.packets_per_cpu_second = middle(rounds, |round| round.packets_per_cpu_second);
        row.cpu_seconds_per_gib = middle(rounds, |round| round.cpu_seconds_per_gib);
        Some(row)
    }
}

/// A file from one disk to another: one round, or the medians of several.
#[derive(Serialize, Clone)]
pub(crate) struct Files {
    pub(crate) way: String,
    pub(crate) bytes: u64,
    /// While it moves, until it is whole and on the disk; megabytes of 1,000,000 bytes.
    pub(crate) mb_per_second: f64,
    /// The whole command.
    pub(crate) command_mb_per_second: f64,
    pub(crate) giver_cpu_per_gib: f64,
    pub(crate) taker_cpu_per_gib: f64,
    pub(crate) giver_peak_mib: f64,
    pub(crate) taker_peak_mib: f64,
}

impl Files {
    /// One row of several rounds: each figure is the median of its own, of memory the most. `None` without rounds.
    pub(crate) fn median(rounds: &[Self]) -> Option<Self> {
        let most = |figure: fn(&Self) -> f64| rounds.iter().map(figure).fold(0.0, f64::max);
        let mut row = rounds.first()?.clone();
        row.mb_per_second = middle(rounds, |round| round.mb_per_second);
        row.command_mb_per_second = middle(rounds, |round| round.command_mb_per_second);
        row.giver_cpu_per_gib = middle(rounds, |round| round.giver_cpu_per_gib);
        row.taker_cpu_per_gib = middle(rounds, |round| round.taker_cpu_per_gib);
        row.giver_peak_mib = most(|round| round.giver_peak_mib);
        row.taker_peak_mib = most(|round| round.taker_peak_mib);
        Some(row)
    }
}

/// A file from a browser to a node: one round, or the medians of several.
#[derive(Serialize, Clone)]
pub(crate) struct FromBrowser {
    pub(crate) way: String,
    /// That came directly.
    pub(crate) bytes: u64,
    /// Of those; megabytes of 1,000,000 bytes.
    pub(crate) mb_per_second: f64,
    pub(crate) taker_cpu_per_gib: f64,
}

impl FromBrowser {
    /// One row of several rounds: each figure is the median of its own. `None` without rounds.
    pub(crate) fn median(rounds: &[Self]) -> Option<Self> {
        let mut row = rounds.first()?.clone();
        row.mb_per_second = middle(rounds, |round| round.mb_per_second);
        row.taker_cpu_per_gib = middle(rounds, |round| round.taker_cpu_per_gib);
        Some(row)
    }
}

/// A file that all members but one got at once.
#[derive(Serialize, Clone)]
pub(crate) struct FilesGroup {
    pub(crate) members: usize,
    pub(crate) bytes: u64,
    /// What each member's line carries outwards; `None` on loopback.
    pub(crate) mbit_per_second: Option<u32>,
    pub(crate) one_seconds: f64,
    pub(crate) all_seconds: f64,
    /// What the relay gave meanwhile, in files.
    pub(crate) relay_copies: f64,
    pub(crate) taker_peak_mib: f64,
}

/// One run.
#[derive(Serialize, Default)]
pub(crate) struct Report {
    pub(crate) talk: Vec<Talk>,
    pub(crate) idle: Vec<Idle>,
    pub(crate) screen: Vec<Screen>,
    pub(crate) search: Vec<Search>,
    pub(crate) web: Vec<Web>,
    pub(crate) turn: Vec<Turn>,
    pub(crate) files: Vec<Files>,
    pub(crate) groups: Vec<FilesGroup>,
    pub(crate) from_browser: Vec<FromBrowser>,
}

impl Report {
    /// The tables in Markdown, as the README has them; ratios against the first relay of each group.
    pub(crate) fn markdown(&self) -> String {
        let mut out = String::new();
        if !self.talk.is_empty() {
            out += "| relay | outstanding | messages/s | p50 ms | p99 ms | relay CPU s per 1,000 | time in fsync |\n";
            out += "|---|---|---|---|---|---|---|\n";
            for row in &self.talk {
                out += &format!(
                    "| {} | {} | {:.0} | {:.2} | {:.2} | {:.4} | {:.0} % |\n",
                    row.relay,
                    row.outstanding,
                    row.messages_per_second,
                    row.latency_p50_ms,
                    row.latency_p99_ms,
                    row.relay_cpu_seconds_per_1000,
                    100.0 * row.fsync_share,
                );
            }
            for pair in self.talk.chunk_by(|a, b| a.outstanding == b.outstanding) {
                if let [base, ours] = pair {
                    out += &format!(
                        "\n{} against {} at {} outstanding: {:.2} of its messages/s, {:.2} times its median latency, {:.2} times its CPU per message.\n",
                        ours.relay,
                        base.relay,
                        ours.outstanding,
                        ours.messages_per_second / base.messages_per_second,
                        ours.latency_p50_ms / base.latency_p50_ms,
                        ours.relay_cpu_seconds_per_1000 / base.relay_cpu_seconds_per_1000,
                    );
                }
            }
        }
        if !self.idle.is_empty() {
            out +=
                "\n| relay | idle connections | KiB per connection | CPU % of a core |\n|---|---|---|---|\n";
            for row in &self.idle {
                let Idle { relay, connections, kib_per_connection, cpu_percent } = row;
                out += &format!("| {relay} | {connections} | {kib_per_connection:.1} | {cpu_percent:.1} |\n");
            }
            if let [base, ours] = self.idle.as_slice() {
                out += &format!(
                    "\n{} takes {:.2} times the memory of {}.\n",
                    ours.relay,
                    ours.kib_per_connection / base.kib_per_connection,
                    base.relay
                );
            }
        }
        if !self.screen.is_empty() {
            out += "\n| input to screen | messages | times | p50 ms | p99 ms | longest ms |\n|---|---|---|---|---|---|\n";
            for row in &self.screen {
                out += &format!(
                    "| {} | {} | {} | {:.1} | {:.1} | {:.1} |\n",
                    row.what, row.messages, row.times, row.p50_ms, row.p99_ms, row.max_ms
                );
            }
        }
        if !self.search.is_empty() {
            out += "\n| messages | searches | first ms | p50 ms | p99 ms | CPU ms each | index bytes per message |\n|---|---|---|---|---|---|---|\n";
            for row in &self.search {
                out += &format!(
                    "| {} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.0} |\n",
                    row.messages,
                    row.queries,
                    row.first_ms,
                    row.p50_ms,
                    row.p99_ms,
                    row.cpu_ms,
                    row.index_bytes_per_message
                );
            }
        }
        if !self.turn.is_empty() {
            out += "\n| TURN | packets relayed | lost | MiB/s | packets per CPU second | CPU s per GiB |\n|---|---|---|---|---|---|\n";
            for row in &self.turn {
                out += &format!(
                    "| {} | {} | {} | {:.1} | {:.0} | {:.1} |\n",
                    row.server,
                    row.relayed,
                    row.lost,
                    row.mib_per_second,
                    row.packets_per_cpu_second,
                    row.cpu_seconds_per_gib,
                );
            }
            if let [base, ours] = self.turn.as_slice() {
                out += &format!(
                    "\n{} relays {:.2} times the packets of {} in a CPU second.\n",
                    ours.server,
                    ours.packets_per_cpu_second / base.packets_per_cpu_second,
                    base.server,
                );
            }
        }
        out += &self.files_tables();
        for row in &self.web {
            out += &format!(
                "\n| in a browser, medians of {} | ms |\n|---|---|\n| echo page: usable | {:.0} |\n| echo page: first echo | {:.0} |\n| \
                 Sotto: first screen usable | {:.0} |\n| Sotto: from signing in on a new browser to the first message | {:.0} |\n\n\
                 {} messages were in the browser after {:.0} s. Scrolling back through {} of them: {} frames, {:.1} ms apart (median), {:.1} (p99), {:.1} at most.\n",
                row.rounds,
                row.echo_usable_ms,
                row.echo_first_ms,
                row.sign_in_usable_ms,
                row.first_message_ms,
                row.messages,
                row.received_s,
                row.scrolled,
                row.frames,
                row.frame_p50_ms,
                row.frame_p99_ms,
                row.frame_max_ms,
            );
        }
        out
    }

    fn files_tables(&self) -> String {
        let mut out = String::new();
        if let Some(base) = self.files.first() {
            out += "\n| a file | MB/s | of the first | whole command MB/s | CPU s per GiB, giver | taker | peak MiB, giver | taker |\n";
            out += "|---|---|---|---|---|---|---|---|\n";
            for row in &self.files {
                out += &format!(
                    "| {} | {:.0} | {:.2} | {:.0} | {:.2} | {:.2} | {:.0} | {:.0} |\n",
                    row.way,
                    row.mb_per_second,
                    row.mb_per_second / base.mb_per_second,
                    row.command_mb_per_second,
                    row.giver_cpu_per_gib,
                    row.taker_cpu_per_gib,
                    row.giver_peak_mib,
                    row.taker_peak_mib,
                );
            }
        }
        if let Some(base) = self.from_browser.first() {
            out += "\n| from a browser to a node | MB/s | of the first | CPU s per GiB, taker |\n|---|---|---|---|\n";
            for row in &self.from_browser {
                let of_base = row.mb_per_second / base.mb_per_second;
                let FromBrowser { way, mb_per_second, taker_cpu_per_gib, .. } = row;
                out += &format!("| {way} | {mb_per_second:.1} | {of_base:.2} | {taker_cpu_per_gib:.2} |\n");
            }
        }
        for row in &self.groups {
            let line = row
                .mbit_per_second
                .map_or_else(|| "loopback".to_owned(), |rate| format!("{rate} Mbit/s each"));
            out += &format!(
                "\n{} members, {} MiB, {line}: one alone has it in {:.1} s, all {} at once in {:.1} s ({:.2} times), while the relay \
                 gave {:.2} copies; at most {:.0} MiB of memory each.\n",
                row.members,
                row.bytes >> 20,
                row.one_seconds,
                row.members - 1,
                row.all_seconds,
                row.all_seconds / row.one_seconds,
                row.relay_copies,
                row.taker_peak_mib,
            );
        }
        out
    }
}
