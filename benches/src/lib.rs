//! nio beside its peers.
