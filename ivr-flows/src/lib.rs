//! ivr-flows
