//! nio-poll.
