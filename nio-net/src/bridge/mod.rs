//! Bridges to the traits that other crates read and write by. Each is a feature that is off by
//! default, and adds only the crate of its name.
//!
//! | feature | what for |
//! |---|---|
//! | `futures-io` | `AsyncRead` and `AsyncWrite` for streams, for their halves and for references to streams: so that what is written for them, such as TLS, runs on this loop |
//! | `hyper` | `Read` and `Write` for streams, and in [`bridge::hyper`](hyper) an executor and a timer: HTTP servers and clients |

#[cfg(feature = "futures-io")]
mod futures_io;
#[cfg(feature = "hyper")]
pub mod hyper;
