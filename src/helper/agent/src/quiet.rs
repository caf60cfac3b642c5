//! For how long a connection must have been quiet before it is ended.

use std::time::Duration;

/// A connection on which nobody has spoken was opened in advance. Its first request is not repeated by clients that
/// repeat others when a connection ends, so it must have been quiet for so many times as long.
pub const UNUSED_FACTOR: u32 = 10;

/// What is needed when so much of the limit has passed: long at first, and falling. As new connections go elsewhere
/// already, a connection that a client uses all the time is soon one that it uses rarely, and of those that are used
/// rarely the next request is far.
pub fn needed(quiet: Duration, limit: Duration, passed: Duration) -> Duration {
    let falling = limit / 4 * 3;
    let left = falling.saturating_sub(passed).as_secs_f64() / falling.as_secs_f64().max(0.001);
    (limit / 4).mul_f64(left).max(quiet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quiet_time_falls() {
        let ms = Duration::from_millis;
        let at = |passed| needed(ms(15), ms(2000), ms(passed)).as_millis();
        assert_eq!([at(0), at(750), at(1500), at(2000)], [500, 250, 15, 15]);
        assert_eq!(needed(ms(15), Duration::ZERO, Duration::ZERO), ms(15));
    }
}
