//! The value that connects an event to its registration.

/// Chosen by the user at registration, and returned with every event of it. nio does nothing else
/// with it: an index, an index with a generation, or a constant are all fine. Several registrations
/// may share one.
///
/// ```
/// # use nio_poll::Token;
/// const LISTENER: Token = Token(0);
/// let connection = Token(1 + 7);
/// assert_ne!(LISTENER, connection);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(
    /// The value.
    pub usize,
);
