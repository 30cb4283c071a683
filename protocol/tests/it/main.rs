//! The wire protocol against golden bytes, hostile bytes and its own limits.

mod hostile;
mod limits;
mod samples;
mod vectors;
