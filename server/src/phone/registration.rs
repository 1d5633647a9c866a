//! Keeping the registration alive.
