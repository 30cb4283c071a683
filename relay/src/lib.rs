//! The relay program: QUIC endpoint, sled storage, configuration, metrics.
