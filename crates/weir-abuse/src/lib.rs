//! Counters and lists of weir for behaviour over many requests: sliding windows, different values, entries with expiry.
//!
//! Nothing here does I/O or reads a clock: the caller gives the time in milliseconds, and moves what
//! [`Table::outgoing`] returns between replicas.
//!
//! ```
//! use weir_abuse::{Keys, Spec, Table};
//!
//! let keys = Keys::new(b"secret of the group");
//! let table = Table::new(1 << 20, false);
//! let spec = Spec { window_ms: 60_000, limit: 2, shares: 1 };
//! let key = keys.key(7, &[b"203.0.113.9"]);
//! let counts: Vec<u32> = (0..3).map(|at| table.add(key, spec, 1_000 + at, 1).count).collect();
//! assert_eq!(counts, [1, 2, 3]);
//! ```

mod counter;
mod distinct;
mod entries;
mod group;
pub mod histogram;
mod hub;
mod keys;
mod run;
mod shared;
mod table;
mod window;

pub use counter::{Details, Observation, Peak, Spec};
pub use distinct::Distinct;
pub use entries::{Change, Entries, Entry, Exception, Exceptions, Key, Listed, Made};
pub use group::Group;
pub use histogram::Histogram;
pub use hub::{Announced, CounterNews, CounterReport, Counts, Hub, HubError, MAX_REPORTED};
pub use keys::{KeyHasher, Keys};
pub use run::SetPeak;
pub use shared::{Outgoing, SharedState};
pub use table::{Slots, Table};
pub use window::{SLOTS, Window};
