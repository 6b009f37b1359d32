//! The number that connects an event to its registration.

/// A number that the program chooses for a registration, and that every event of it carries. nio does
/// nothing else with it: it may be an index, an index with a generation, or a constant. Several
/// registrations may share one.
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
