//! The log, delivery, quotas, commit checking: the relay's decisions, without its sockets, clock and disk.
//!
//! Read in this order: [`conversation`] (what the relay knows of one), [`state`] (of all, and the one door
//! through which it changes), [`append`] (may this be appended?), [`authorise`] and [`commit`] (may this
//! change of members?), [`entry`] and [`record`] (how it lies on the disk), [`delivery`] (what becomes of a
//! push whose receiver is slow), [`presence`] (who is here), [`quota`] and [`holding`] (how much is too much) and [`check`]
//! (whether a log is as it was written). [`blobs`] decides about the files beside the log. [`turn`] stands for itself: who may borrow the relay's address, to reach whom, and
//! how much.

pub mod append;
pub mod authorise;
pub mod blobs;
pub mod check;
pub mod commit;
pub mod conversation;
pub mod delivery;
pub mod entry;
pub mod holding;
pub mod presence;
pub mod quota;
pub mod record;
pub mod state;
pub mod turn;
