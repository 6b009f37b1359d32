//! nio-net.
