//! A whole client without I/O: commands in; frames, writes and events out.
