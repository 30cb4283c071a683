//! How good a connection is: what was counted, from one look to the next.

use super::jitter::Heard;
use std::time::Duration;

/// What RTP puts before each packet, in bytes.
pub(super) const HEADER_BYTES: u64 = 12;

/// How good a connection was since the last look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// By a TURN server, on either side.
    pub relayed: bool,
    /// To the other device and back, once that was measured.
    pub round_trip: Option<Duration>,
    /// Of what was sent to this device, from 0 to 1; `None` if nothing was.
    pub lost: Option<f64>,
    /// How unevenly it comes.
    pub jitter: Duration,
    /// In bits a second.
    pub sent: f64,
    /// In bits a second.
    pub received: f64,
}

/// Sums at a look.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counters {
    pub(super) at: Duration,
    pub(super) sent_packets: u64,
    pub(super) sent_bytes: u64,
    pub(super) heard: Heard,
}

/// What happened between two looks.
pub(super) fn between(
    before: &Counters,
    now: &Counters,
    relayed: bool,
    round_trip: Option<Duration>,
) -> Quality {
    let seconds = now.at.saturating_sub(before.at).as_secs_f64().max(0.1);
    let expected = now.heard.expected.saturating_sub(before.heard.expected);
    let came = now.heard.came.saturating_sub(before.heard.came);
    #[expect(clippy::cast_precision_loss, reason = "so few are exact")]
    let rate = |bytes: u64, packets: u64| 8.0 * (bytes + HEADER_BYTES * packets) as f64 / seconds;
    #[expect(clippy::cast_precision_loss, reason = "so few are exact")]
    let lost = (expected > 0).then(|| expected.saturating_sub(came) as f64 / expected as f64);
    Quality {
        relayed,
        round_trip,
        lost,
        jitter: Duration::from_secs_f64((now.heard.jitter / 48_000.0).clamp(0.0, 60.0)),
        sent: rate(
            now.sent_bytes.saturating_sub(before.sent_bytes),
            now.sent_packets.saturating_sub(before.sent_packets),
        ),
        received: rate(now.heard.bytes.saturating_sub(before.heard.bytes), came),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_and_rates_are_those_since_the_last_look() {
        let before = Counters {
            at: Duration::from_secs(10),
            sent_packets: 500,
            sent_bytes: 40_000,
            heard: Heard { expected: 500, came: 400, bytes: 32_000, jitter: 0.0 },
        };
        let now = Counters {
            at: Duration::from_secs(12),
            sent_packets: 600,
            sent_bytes: 48_000,
            heard: Heard { expected: 600, came: 490, bytes: 39_200, jitter: 480.0 },
        };
        let quality = between(&before, &now, true, Some(Duration::from_millis(12)));
        assert!(quality.relayed);
        assert_eq!(quality.lost, Some(0.1));
        assert_eq!(quality.jitter, Duration::from_millis(10));
        assert!((quality.sent - 36_800.0).abs() < 0.1, "{quality:?}");
        assert!((quality.received - 33_120.0).abs() < 0.1, "{quality:?}");
        let quiet = between(&now, &Counters { at: Duration::from_secs(14), ..now }, false, None);
        assert_eq!((quiet.lost, quiet.sent), (None, 0.0));
    }

    #[test]
    fn packets_that_came_twice_or_counters_that_began_anew_are_no_gain() {
        let before = Counters { heard: Heard { expected: 10, ..Heard::default() }, ..Counters::default() };
        let now = Counters {
            at: Duration::from_secs(2),
            heard: Heard { expected: 20, came: 30, bytes: 100, jitter: f64::MAX },
            ..Counters::default()
        };
        let quality = between(&before, &now, false, None);
        assert_eq!(quality.lost, Some(0.0));
        assert_eq!(quality.jitter, Duration::from_secs(60));
    }
}
