//! One call of a phone.
