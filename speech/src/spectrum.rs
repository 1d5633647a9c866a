//! The network's spectrum → waveform.
