//! Moments as people write them: RFC 3339, a day, or how long ago.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// What a moment looks like, for messages.
pub const FORMS: &str =
    "a time such as 2026-11-28T09:30:00Z, a day such as 2026-11-28, or how long ago, such as 7d or 12h";

/// The moment in microseconds since 1970.
pub fn parse(text: &str, now: Timestamp) -> Option<i64> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_microsecond());
    }
    if let Ok(day) = text.parse::<Date>() {
        return day.to_zoned(TimeZone::UTC).ok().map(|day| day.timestamp().as_microsecond());
    }
    let ago: Span = text.parse().ok()?;
    let then = now.to_zoned(TimeZone::UTC).checked_sub(ago).ok()?.timestamp();
    (then <= now).then(|| then.as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_three_forms() {
        let now: Timestamp = "2026-11-28T12:00:00Z".parse().unwrap();
        let read = |text| parse(text, now).map(|at| Timestamp::from_microsecond(at).unwrap().to_string());
        assert_eq!(read("2026-11-27T01:02:03Z").as_deref(), Some("2026-11-27T01:02:03Z"));
        assert_eq!(read("2026-11-27").as_deref(), Some("2026-11-27T00:00:00Z"));
        assert_eq!(read("7d").as_deref(), Some("2026-11-21T12:00:00Z"));
        assert_eq!(read("90m").as_deref(), Some("2026-11-28T10:30:00Z"));
        for wrong in ["", "soon", "-7d", "7", "2026-13-01"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
