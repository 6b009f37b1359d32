//! nio-sys.
