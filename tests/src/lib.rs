//! End-to-end tests over crates and binaries.
