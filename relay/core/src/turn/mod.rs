//! What the relay decides when it lends STUN and TURN: who may, to whom, and how much. Without sockets and clock.
//!
//! A device that cannot be reached directly asks the relay for a *relayed address*: what is sent there goes to the
//! device, and what the device sends leaves from there. Carelessly lent, that is an open proxy into the network that
//! the relay stands in. So: [`credentials`] are short-lived and for signed-in devices only, [`addresses`] says which
//! peers nobody reaches through the relay, [`contacts`] how many one allocation has, and [`quota`] what one account may use,
//! and [`stream`] where a message ends on a connection.

pub mod addresses;
pub mod contacts;
pub mod credentials;
pub mod quota;
pub mod stream;
