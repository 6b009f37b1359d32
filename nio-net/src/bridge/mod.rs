//! Bridges to the traits of other crates. Each is a feature that is off by default,
//! and adds only the crate of its name.
//!
//! | feature | what for |
//! |---|---|
//! | `futures-core` | `Stream` for listeners, lines, and the ticks of an interval |
//! | `futures-io` | `AsyncRead` and `AsyncWrite` for streams, their halves and references to streams: libraries written for these traits, such as TLS, run on this loop |
//! | `hyper` | `Read` and `Write` for streams, and in [`bridge::hyper`](hyper) an executor and a timer: HTTP servers and clients |

#[cfg(feature = "futures-core")]
mod futures_core;
#[cfg(feature = "futures-io")]
mod futures_io;
#[cfg(feature = "hyper")]
#[cfg_attr(docsrs, doc(cfg(feature = "hyper")))]
pub mod hyper;
