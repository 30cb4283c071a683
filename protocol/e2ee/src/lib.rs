//! Identity, MLS conversations, archive and repair. Sans-I/O; servers never link it.
