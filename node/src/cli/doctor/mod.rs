//! `doctor`: looks at everything that a connection needs, in the order in which it needs it, and says what to do.
//!
//! ```text
//!   profile, key, store, session   this device
//!   address, tcp, certificate      the way to the relay, one step after the other
//!   clock, udp
//!   account, room                  this device signed in there, caught up; what the relay still takes of the account
//! ```
//!
//! Nothing is changed or repaired; a step that cannot be looked at because of one above it says so.

mod report;

use super::args::Global;
use super::exit::{Exit, Failed, of_status};
use super::open::{self, RunningNode};
use super::output::Printer;
use report::{Report, Verdict};
use sotto_node::http::{HttpError, api, health};
use sotto_node::node::{Start, Status, resume, wall_clock};
use sotto_node::profile::Profile;
use sotto_node::store::SqliteStore;
use sotto_node::tls::Trust;
use sotto_node::transport::{Target, quic_alone};
use sotto_node_core::format::harmless_line;
use sotto_protocol::invite::Invite;
use std::time::Duration;

/// How long a name may take to be found.
const LOOK_UP: Duration = Duration::from_secs(10);

/// A clock that is so far from the relay's shows wrong times; sessions and keys still have minutes to spare.
const CLOCK_OFF_MS: u64 = 60_000;

/// What the store may still grow by before it is worth a warning: a year of a busy person's texts.
const FREE_BYTES_LEAST: u64 = 256 * 1024 * 1024;

pub(crate) async fn doctor(global: &Global, printer: &Printer) -> Result<(), Failed> {
    let mut report = Report::new(printer);
    let start = this_device(global, &mut report).await?;
    let kept = start.as_ref().and_then(|start| start.session.link().ok());
    let reached = match global.relay.clone().or(kept) {
        Some(link) => the_way(&link, &mut report).await?,
        None => {
            for check in ["address", "tcp", "certificate", "clock", "udp"] {
                report.skipped(check, "no relay is known here; name one with --relay LINK")?;
            }
            false
        }
    };
    match start {
        Some(start) if reached && start.session.is_signed_in() => {
            account(start, printer, &mut report).await?
        }
        _ => skip(
            &mut report,
            &["account", "room"],
            "it needs a session on this device and a relay that answers",
        )?,
    }
    report.end()
}

/// Profile, key, store and session; the opened store where all are well.
async fn this_device(global: &Global, report: &mut Report<'_>) -> Result<Option<Start<SqliteStore>>, Failed> {
    let profile = match open::profile(global) {
        Ok(profile) => profile,
        Err(failed) => {
            report.failed("profile", &failed)?;
            skip(report, &["key", "store", "session"], "there is no profile to look at")?;
            return Ok(None);
        }
    };
    if !profile.exists() {
        let text = format!("there is no account in {} yet", profile.folder().display());
        let advice =
            "start with `sotto register`, `sotto login` or `sotto recover`; or name another --profile";
        report.say("profile", Verdict::Failed(Exit::SignedOut), &text, Some(advice))?;
        skip(report, &["key", "store", "session"], "there is nothing yet")?;
        return Ok(None);
    }
    folder(&profile, report)?;
    match sotto_node::secret::read_holder(&profile) {
        Ok(holder) => report.good("key", &format!("the store's key is held by {holder}"))?,
        Err(error) => {
            report.failed("key", &error.into())?;
            skip(report, &["store", "session"], "without its key the store does not open")?;
            return Ok(None);
        }
    }
    let store = match open::store(global).await {
        Ok(store) => store,
        // That is no fault: a daemon runs for weeks.
        Err(failed) if failed.code == "profile_in_use" => {
            let advice =
                "end it to have the store looked at too; until then the daemon's GET /status says how it is";
            report.warning("store", &failed.sentence, advice)?;
            report.skipped("session", "it is in the store; give --relay LINK to look at the relay")?;
            return Ok(None);
        }
        Err(failed) => {
            report.failed("store", &failed)?;
            report.skipped("session", "it is in the store")?;
            return Ok(None);
        }
    };
    let start = match resume(store, open::settings(global), true) {
        Ok(start) => start,
        Err(error) => {
            report.good("store", "it opens with its key, and no page of it is damaged")?;
            report.failed("session", &error.into())?;
            return Ok(None);
        }
    };
    look_at_store(&profile, &start, report)?;
    let name = harmless_line(&start.session.username);
    if start.session.is_signed_in() {
        report.good("session", &format!("signed in as {name}"))?;
    } else {
        let failed =
            Failed::new(Exit::SignedOut, "signed_out", format!("{name} is signed out; run `sotto login`"));
        report.failed("session", &failed)?;
    }
    Ok(Some(start))
}

fn skip(report: &mut Report<'_>, checks: &[&'static str], why: &str) -> Result<(), Failed> {
    checks.iter().try_for_each(|check| report.skipped(check, why))
}

/// Only the owner of a profile may look into it.
fn folder(profile: &Profile, report: &mut Report<'_>) -> Result<(), Failed> {
    let shown = profile.folder().display();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let open = [profile.folder().to_owned(), profile.store_path(), profile.row_keys_path()]
            .into_iter()
            .find(|path| path.metadata().is_ok_and(|file| file.permissions().mode() & 0o077 != 0));
        if let Some(path) = open {
            let text = format!("others on this machine can look into {}", path.display());
            let advice = format!("chmod -R go= '{shown}'");
            return report.warning("profile", &text, &advice);
        }
    }
    report.good("profile", &shown.to_string())
}

fn look_at_store(
    profile: &Profile,
    start: &Start<SqliteStore>,
    report: &mut Report<'_>,
) -> Result<(), Failed> {
    let views = start.client.conversations()?;
    let queued: usize = views.iter().map(|view| view.queued).sum();
    let text = format!(
        "it opens with its key, and no page of it is damaged: {} conversations, {queued} texts that wait to be sent",
        views.len()
    );
    match free_bytes(profile) {
        Some(free) if free < FREE_BYTES_LEAST => {
            let text = format!("{text}; the disk has {} MiB left", free / (1024 * 1024));
            report.warning("store", &text, "make room: a store on a full disk takes nothing more")
        }
        _ => report.good("store", &text),
    }
}

#[cfg(unix)]
fn free_bytes(profile: &Profile) -> Option<u64> {
    let disk = rustix::fs::statvfs(profile.folder()).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

#[cfg(not(unix))]
fn free_bytes(_profile: &Profile) -> Option<u64> {
    None
}

/// From a name to a relay that answers; whether one does.
async fn the_way(link: &Invite, report: &mut Report<'_>) -> Result<bool, Failed> {
    let relay = &link.relay;
    let host = harmless_line(&relay.host);
    let looked =
        tokio::time::timeout(LOOK_UP, tokio::net::lookup_host((relay.host.as_str(), relay.port))).await;
    let addresses: Vec<_> = match looked {
        Ok(Ok(found)) => found.map(|address| address.ip().to_string()).collect(),
        Ok(Err(error)) => {
            let sentence = format!(
                "{host} has no address ({error}): check the name in the relay's link, and this machine's network and DNS"
            );
            report.failed("address", &Failed::new(Exit::Unreachable, "unreachable", sentence))?;
            skip(report, &["tcp", "certificate", "clock", "udp"], "the relay has no address")?;
            return Ok(false);
        }
        Err(_) => {
            let sentence = format!(
                "nobody says within {} s where {host} is: check this machine's DNS",
                LOOK_UP.as_secs()
            );
            report.failed("address", &Failed::new(Exit::Unreachable, "unreachable", sentence))?;
            skip(report, &["tcp", "certificate", "clock", "udp"], "the relay has no address")?;
            return Ok(false);
        }
    };
    report.good("address", &format!("{host} is {}", addresses.join(", ")))?;
    let trust = match Trust::new(link.fingerprint) {
        Ok(trust) => trust,
        Err(error) => {
            let failed =
                Failed::internal(format!("this machine's certificate authorities cannot be read: {error}"));
            report.failed("certificate", &failed)?;
            skip(report, &["tcp", "clock", "udp"], "without authorities nobody can be trusted")?;
            return Ok(false);
        }
    };
    let reached = by_tcp(link, &trust, report).await?;
    by_udp(link, trust, reached, report).await?;
    Ok(reached)
}

/// TCP, certificate, and the clock of who answers.
async fn by_tcp(link: &Invite, trust: &Trust, report: &mut Report<'_>) -> Result<bool, Failed> {
    let port = link.relay.port;
    let health = match health(&api(link.relay.clone(), trust.clone())).await {
        Ok(health) => health,
        Err(error @ HttpError::Unreachable { .. }) => {
            let failed = Failed::from(error);
            let advice = format!("start the relay, or let TCP port {port} through the firewalls in between");
            report.say("tcp", Verdict::Failed(failed.exit), &failed.sentence, Some(&advice))?;
            skip(report, &["certificate", "clock"], "nobody answers by TCP")?;
            return Ok(false);
        }
        Err(error @ (HttpError::WrongFingerprint(_) | HttpError::Untrusted(_))) => {
            report.good("tcp", &format!("port {port} is open"))?;
            report.failed("certificate", &error.into())?;
            report.skipped("clock", "who answers is not trusted")?;
            return Ok(false);
        }
        Err(error) => {
            report.failed("tcp", &error.into())?;
            skip(report, &["certificate", "clock"], "what answers is no relay")?;
            return Ok(false);
        }
    };
    report.good("tcp", &format!("a relay answers on port {port} in {} ms", health.took.as_millis()))?;
    let certificate = match link.fingerprint {
        Some(fingerprint) => format!("it is the one of the relay's link ({fingerprint})"),
        None => "it is signed by an authority that this machine trusts".to_owned(),
    };
    report.good("certificate", &certificate)?;
    let now = wall_clock();
    match health.clock {
        // The answer was made within the time that it took.
        Some(clock) if clock.0.abs_diff(now.0) > CLOCK_OFF_MS => {
            let seconds = clock.0.abs_diff(now.0) / 1000;
            let way = if clock > now { "behind" } else { "ahead of" };
            let text = format!("this machine's clock is {seconds} s {way} the relay's");
            let advice = "let both set their clocks by the network (NTP); times of messages are the relay's";
            report.warning("clock", &text, advice)?;
        }
        Some(_) => report.good("clock", "this machine and the relay agree on the time")?,
        None => report.skipped("clock", "the relay does not say what time it is")?,
    }
    Ok(true)
}

/// QUIC alone: without it everything works, by WebSocket and slower.
async fn by_udp(link: &Invite, trust: Trust, by_tcp: bool, report: &mut Report<'_>) -> Result<(), Failed> {
    let port = link.relay.port;
    let target = Target { relay: link.relay.clone(), trust, udp_doubtful: false };
    match quic_alone(&target).await {
        Ok(took) => report.good("udp", &format!("QUIC stands in {} ms", took.as_millis())),
        Err(why) if by_tcp => {
            let text = format!("no QUIC ({why}): messages go by WebSocket, which works and is slower");
            report.warning("udp", &text, &format!("let UDP port {port} through the firewalls in between"))
        }
        Err(why) => {
            let advice = format!("as with TCP: start the relay, or let UDP port {port} through");
            let failed = Verdict::Failed(Exit::Unreachable);
            report.say("udp", failed, &format!("no QUIC: {why}"), Some(&advice))
        }
    }
}

/// This device, signed in and caught up.
async fn account(
    start: Start<SqliteStore>,
    printer: &Printer,
    report: &mut Report<'_>,
) -> Result<(), Failed> {
    let node = open::begin(start, printer)?;
    open::finishing(node, async |node| {
        let caught_up = open::caught_up(node).await;
        let carrier = match node.status() {
            Status::Ready(carrier) | Status::Synchronised(carrier) => carrier.to_string(),
            _ => "nothing".to_owned(),
        };
        match caught_up.err().or_else(|| of_status(&node.status())) {
            None => {
                report.good("account", &format!("this device is signed in and has caught up, over {carrier}"))
            }
            Some(failed) => report.failed("account", &failed),
        }?;
        room(node, report).await
    })
    .await
}

/// How much of what the relay lets the account keep is used.
async fn room(node: &RunningNode, report: &mut Report<'_>) -> Result<(), Failed> {
    let usage = match node.access_token().await {
        Ok(access) => node.api().usage(&access).await.map_err(Failed::from),
        Err(error) => Err(error.into()),
    };
    let usage = match usage {
        Ok(usage) => usage,
        Err(failed) if failed.code == "not_found" => {
            return report.skipped("room", "this relay is older and does not say");
        }
        Err(failed) => return report.failed("room", &failed),
    };
    let used = in_mib(usage.used_bytes);
    let Some(limit) = usage.limit_bytes else {
        return report.good("room", &format!("the account has {used} on the relay, which sets no limit"));
    };
    let text = format!("the account has {used} of {} on the relay", in_mib(limit));
    if usage.is_near() {
        let advice = "ask who runs the relay for more: what is beyond is refused until then, and what is there can be read";
        return report.warning("room", &text, advice);
    }
    report.good("room", &text)
}

/// For people: tenths of MiB.
fn in_mib(bytes: u64) -> String {
    let tenths = bytes / (1024 * 1024 / 10);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}
