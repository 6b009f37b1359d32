//! nio-loop.
