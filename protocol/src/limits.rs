//! A limit on everything, in one place, each with its arithmetic.
//!
//! Sizes are in bytes, counts are plain, times carry their unit in the name. A limit may grow in a later
//! version of the protocol; it never shrinks for a version that was released.

/// The largest content a person's message may hold before padding. Longer texts are files.
pub const CONTENT_BYTES_MAX: usize = 64 * 1024;

/// An MLS application message around the largest padded content: content + framing, signature and AEAD tag
/// (about 200 bytes, measured 146), rounded up.
pub const APPLICATION_BYTES_MAX: usize = CONTENT_BYTES_MAX + 1024;

/// The archive copy around the largest padded content: certificate (176), signature (64), nonce (24), tag (16), head.
pub const ARCHIVE_BYTES_MAX: usize = CONTENT_BYTES_MAX + 1024;

/// A commit. An X-Wing update path in a settled group of 1,000 takes 92 KB (measured); 200 adds by value
/// carry 200 key packages of 2.7 KB = 540 KB. Both together, rounded up.
pub const COMMIT_BYTES_MAX: usize = 768 * 1024;

/// A Welcome without its tree: 200 joiners at about 1.3 KB of X-Wing encryption = 260 KB, rounded up.
pub const WELCOME_BYTES_MAX: usize = 384 * 1024;

/// A GroupInfo without its tree.
pub const GROUP_INFO_BYTES_MAX: usize = 32 * 1024;

/// A ratchet tree: 1,000 members at 2.6 KB (measured) = 2.6 MB, rounded up.
pub const TREE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A key package: measured 2,666 bytes with X-Wing.
pub const KEY_PACKAGE_BYTES_MAX: usize = 8 * 1024;

/// An ephemeral: typing, receipts, call setup with one SDP.
pub const EPHEMERAL_BYTES_MAX: usize = 32 * 1024;

/// The body of any frame: the tree is the largest thing that travels.
pub const FRAME_BODY_BYTES_MAX: usize = TREE_BYTES_MAX + 64 * 1024;

/// What a connection may send before it has proved who it is: a hello and an authentication, nothing large.
pub const FRAME_BODY_BEFORE_AUTH_BYTES_MAX: usize = 8 * 1024;

/// Devices of one account. Each is a leaf in every conversation of the account.
pub const DEVICES_PER_ACCOUNT_MAX: usize = 16;

/// Leaves of one conversation: what was measured (join 78 ms, tree 2.6 MB) and stays pleasant.
pub const LEAVES_PER_CONVERSATION_MAX: usize = 1_000;

/// Members added by one commit: larger batches make commits slow (21 ms for 50, 104 ms for 200) and big.
pub const ADDS_PER_COMMIT_MAX: usize = 200;

/// Conversations that one device follows.
pub const CONVERSATIONS_PER_DEVICE_MAX: usize = 4_096;

/// Key packages that one device keeps on the relay; one is spent for each conversation it is added to.
pub const KEY_PACKAGES_PER_DEVICE_MAX: usize = 100;

/// Below this stock a device publishes more.
pub const KEY_PACKAGES_LOW: usize = 20;

/// A key package is refused after this long (30 days), and a device replaces it well before.
pub const KEY_PACKAGE_LIFETIME_SECONDS: u64 = 30 * 24 * 3600;

/// Suites named when claiming key packages: two exist, and a list of more than a few has no use.
pub const SUITES_PER_CLAIM_MAX: usize = 16;

/// Entries in one answer to a fetch, whatever their size.
pub const FETCH_ENTRIES_MAX: usize = 512;

/// Bytes of entries in one answer to a fetch; at least one entry is always given.
pub const FETCH_BYTES_MAX: usize = 1024 * 1024;

/// Appends that a device may have unanswered on one conversation. Bounds what a relay holds for one sender:
/// 64 * 2 * 65 KiB = 8.3 MiB at the very worst.
pub const APPENDS_OUTSTANDING_MAX: usize = 64;

/// Items in any list of a frame that has no limit of its own.
pub const LIST_ITEMS_MAX: usize = 4_096;

/// Extensions at the end of one body, and the bytes in one of them.
pub const EXTENSIONS_MAX: usize = 16;
/// See [`EXTENSIONS_MAX`].
pub const EXTENSION_BYTES_MAX: usize = 4 * 1024;

/// A user name: 2 to 32 of `a-z 0-9 . _ -`, starting with a letter or digit.
pub const USERNAME_CHARS_MIN: usize = 2;
/// See [`USERNAME_CHARS_MIN`].
pub const USERNAME_CHARS_MAX: usize = 32;

/// RFC 5321 section 4.5.3.1.3 allows a path of 256 octets with its angle brackets.
pub const EMAIL_BYTES_MAX: usize = 254;

/// NIST SP 800-63B asks for at least 8 and for room for at least 64.
pub const PASSWORD_CHARS_MIN: usize = 8;
/// Longer passwords are refused, so that hashing stays bounded.
pub const PASSWORD_BYTES_MAX: usize = 256;

/// Names of devices, listed rooms and client programs.
pub const NAME_BYTES_MAX: usize = 64;

/// The sentence in a wire error.
pub const ERROR_TEXT_BYTES_MAX: usize = 512;

/// An access token (a JWT with few claims is about 400 bytes).
pub const TOKEN_BYTES_MAX: usize = 2 * 1024;

/// A whole invite link.
pub const INVITE_BYTES_MAX: usize = 1024;

/// What a receiver's queue may hold before the relay falls back to cursors for it: 16 answers of the largest fetch.
pub const RECEIVER_QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Accounts that a relay names as being here, in one conversation: 128 of 16 bytes are 2 KiB. Of more it tells the
/// number alone. So a conversation of 1,000 in which 128 come and go all the time costs each of its devices
/// 4 KiB a second at the worst, and the relay 4 MiB.
pub const PRESENT_NAMED_MAX: usize = 128;

/// Changes of who is here are told at most this often: what a person takes for at once. 1,000 members who come
/// back within 3 s after a restart are 3 or 4 frames for each of them, where one for each change would be 1,000.
pub const PRESENCE_EVERY_MS: u64 = 1_000;

/// Without anything else to send, a node sends a sign of life this often (for a WebSocket the
/// operating systems do). Home routers forget an idle UDP mapping after 30 s (RFC 4787 asks for 2 min). 5,000 idle devices are
/// 830 signs of life a second for a relay. At half the interval 2,000 took 8 % of a core (`loadtest idle`, a build without
/// optimisation across crates, a busy machine), so 5,000 take 10 % at this one, where they would take twice that.
pub const KEEP_ALIVE_MS: u64 = 6_000;

/// After so long without a packet from the other side the connection is gone: two signs of life and, since QUIC
/// repeats a lost one after a few round trips, about ten packets were lost in a row. A node that was killed or whose
/// network vanished is noticed 8 to 14 s later (14 s after its last packet, which is up to 6 s old), or up to 14 s
/// later than that when the relay just sent it something (RFC 9000 section 10.1). Links slower than that are kept:
/// QUIC waits for at least three probe timeouts, so a round trip of 2 s is no loss. A client that wants to sleep
/// longer asks for more in its transport parameters, up to the relay's `limits.idle`.
pub const SILENCE_MS_MAX: u64 = 14_000;

/// The vault: identity key and one archive key (about 100 bytes sealed) for each of 10,000 epochs.
pub const VAULT_BYTES_MAX: usize = 1024 * 1024;

/// A chunk of a blob: a subtree of BLAKE3 is a power of two, and 1 MiB is one request of a moment (80 ms at 100 Mbit/s)
/// whose 32 bytes of hash are 0.003 % beside it.
pub const BLOB_CHUNK_BYTES: u64 = 1024 * 1024;

/// Chunks of one blob. Their hashes are the chunk list, 65,536 * 32 = 2 MiB, which a phone holds in memory; so a file has
/// 64 GiB at most, of which 1 MiB are tags.
pub const BLOB_CHUNKS_MAX: u64 = 65_536;

/// The chunk list of the largest blob.
pub const BLOB_LIST_BYTES_MAX: usize = 65_536 * 32;

/// The name of a file: what every file system takes (255 bytes) with room for what a client puts around it.
pub const FILE_NAME_BYTES_MAX: usize = 200;

/// A media type: RFC 6838 section 4.2 allows 127 characters on each side of the slash; real ones take fewer than 80.
pub const MEDIA_TYPE_BYTES_MAX: usize = 127;

/// One message of TURN: a header of 20 bytes, and a length of 16 bits after it (RFC 8489, section 5).
pub const TURN_MESSAGE_BYTES_MAX: usize = 20 + 65_535;
