//! The time of a loop: nanoseconds since the loop was made.

use std::time::{Duration, Instant};

/// A point in the time of one loop. The unit is small and the type is large: it wraps after 584
/// years, so arithmetic saturates and the greatest value means "never".
pub(crate) type Nanos = u64;

/// Never.
pub(crate) const NEVER: Nanos = Nanos::MAX;

/// The monotonic clock of the system, from an origin of its own. It does not count the time in
/// which the machine is suspended where the system's clock does not (Linux, macOS).
#[derive(Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock {
            origin: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> Nanos {
        nanos(self.origin.elapsed())
    }
}

/// A duration in nanoseconds; what does not fit is "never".
pub(crate) fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(NEVER)
}
