//! How many connections there may be, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};

/// Counts connections. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Admission {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    counts: Mutex<Counts>,
    all_max: usize,
    per_address_max: usize,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    per_address: HashMap<IpAddr, usize>,
}

/// The right to be connected; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    admission: Admission,
    address: IpAddr,
}

impl Admission {
    /// At most so many in all and from one address.
    #[must_use]
    pub fn new(all_max: usize, per_address_max: usize) -> Self {
        Self { inner: Arc::new(Inner { counts: Mutex::default(), all_max, per_address_max }) }
    }

    /// Counts one more connection, if there is room for it.
    #[must_use]
    pub fn admit(&self, address: IpAddr) -> Option<Permit> {
        let address = group(address);
        let mut counts = self.counts();
        if counts.all >= self.inner.all_max {
            return None;
        }
        let here = counts.per_address.entry(address).or_default();
        if *here >= self.inner.per_address_max {
            return None;
        }
        *here += 1;
        counts.all += 1;
        Some(Permit { admission: self.clone(), address })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.inner.counts.lock().expect("no holder of this lock can panic")
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.admission.counts();
        counts.all = counts.all.saturating_sub(1);
        if let Some(here) = counts.per_address.get_mut(&self.address) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                counts.per_address.remove(&self.address);
            }
        }
    }
}

/// What counts as one address: IPv4 as itself however it arrives, IPv6 by its /64, which one household has whole.
fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_per_address_and_in_all_and_are_given_back() {
        let admission = Admission::new(3, 2);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let one = admission.admit(address("192.0.2.1")).unwrap();
        let _two = admission.admit(address("::ffff:192.0.2.1")).unwrap();
        assert!(admission.admit(address("192.0.2.1")).is_none());
        let _three = admission.admit(address("2001:db8::1")).unwrap();
        assert!(admission.admit(address("192.0.2.9")).is_none());
        drop(one);
        assert!(admission.admit(address("192.0.2.1")).is_some());
        assert_eq!(admission.counts().all, 2);
    }
}
