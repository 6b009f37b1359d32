//! The programs of the workspace are this package's examples, one file each.

/// The programs of the README, so that they are compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
