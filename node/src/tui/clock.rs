//! Times as people read them.

use sotto_protocol::ids::UnixMillis;
use time::{Date, OffsetDateTime, UtcOffset};

/// The wall clock of the person: what time it is, and how far from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Now.
    pub now: UnixMillis,
    /// Added to UTC.
    pub offset: UtcOffset,
}

impl Clock {
    fn local(&self, at: UnixMillis) -> Option<OffsetDateTime> {
        let nanos = i128::from(at.0).saturating_mul(1_000_000);
        OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?.checked_to_offset(self.offset)
    }

    /// The day of a moment; `None` for one that no calendar has.
    pub(crate) fn day(&self, at: UnixMillis) -> Option<Date> {
        self.local(at).map(OffsetDateTime::date)
    }

    /// As `14:02`.
    pub(crate) fn time(&self, at: UnixMillis) -> String {
        self.local(at).map_or_else(|| "--:--".to_owned(), |at| format!("{:02}:{:02}", at.hour(), at.minute()))
    }

    /// As `Today`, `Yesterday` or `Saturday, 21 November 2026`.
    pub(crate) fn day_name(&self, at: UnixMillis) -> String {
        let (Some(day), Some(today)) = (self.day(at), self.day(self.now)) else {
            return "An unknown day".to_owned();
        };
        if day == today {
            "Today".to_owned()
        } else if Some(day) == today.previous_day() {
            "Yesterday".to_owned()
        } else {
            format!("{}, {} {} {}", day.weekday(), day.day(), day.month(), day.year())
        }
    }

    /// For lists: the time if it was today, else the date; at most 6 cells.
    pub(crate) fn short(&self, at: UnixMillis) -> String {
        match (self.day(at), self.day(self.now)) {
            (Some(day), Some(today)) if day == today => self.time(at),
            (Some(day), _) => {
                let month = day.month().to_string();
                format!("{} {}", day.day(), month.get(..3).unwrap_or(&month))
            }
            _ => String::new(),
        }
    }

    /// For what comes: the time if it is today, else the date and the time.
    pub(crate) fn soon(&self, at: UnixMillis) -> String {
        let today = self.day(at).is_some() && self.day(at) == self.day(self.now);
        if today { self.time(at) } else { format!("{} {}", self.short(at), self.time(at)) }
    }

    /// As `21 November 2026, 14:02`.
    pub(crate) fn whole(&self, at: UnixMillis) -> String {
        self.day(at).map_or_else(
            || "an unknown moment".to_owned(),
            |day| format!("{} {} {}, {}", day.day(), day.month(), day.year(), self.time(at)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_are_the_persons_own() {
        // 2023-11-14 22:13:20 UTC.
        let at = UnixMillis(1_700_000_000_000);
        let offset = UtcOffset::from_hms(2, 0, 0).expect("an offset");
        let clock = Clock { now: UnixMillis(at.0 + 3_600_000), offset };
        assert_eq!(clock.time(at), "00:13");
        assert_eq!(clock.day_name(at), "Today");
        assert_eq!(clock.day_name(UnixMillis(at.0 - 3_600_000)), "Yesterday");
        assert_eq!(clock.day_name(UnixMillis(at.0 - 2 * 86_400_000)), "Monday, 13 November 2023");
        assert_eq!(clock.short(UnixMillis(at.0 - 2 * 86_400_000)), "13 Nov");
        assert_eq!(clock.whole(at), "15 November 2023, 00:13");
    }

    #[test]
    fn an_impossible_moment_breaks_nothing() {
        let clock = Clock { now: UnixMillis(0), offset: UtcOffset::UTC };
        assert_eq!(clock.time(UnixMillis(u64::MAX)), "--:--");
        assert_eq!(clock.day_name(UnixMillis(u64::MAX)), "An unknown day");
    }
}
