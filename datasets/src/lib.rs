//! Data cards, embedded sets, download and verification.
