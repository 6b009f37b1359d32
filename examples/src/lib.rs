//! The programs of the workspace live in this package's `examples` folder, one file each.
