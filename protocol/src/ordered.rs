//! Maps and sets filled one by one.
//!
//! `collect` sorts before it builds a `BTreeMap` or a `BTreeSet`, by a sort that is compiled for each type of entry: quicker for many
//! thousands, and 3 KiB of code each time in what a browser downloads (100 KiB in all, before this was there). What clients
//! collect is a few dozen.

/// What was collected, one after the other.
pub fn one_by_one<T, C: Default + Extend<T>>(items: impl IntoIterator<Item = T>) -> C {
    let mut all = C::default();
    all.extend(items);
    all
}

/// The same up to the first error.
///
/// # Errors
/// The first one among the items.
pub fn one_by_one_or<T, E, C: Default + Extend<T>>(
    items: impl IntoIterator<Item = Result<T, E>>,
) -> Result<C, E> {
    let mut all = C::default();
    for item in items {
        all.extend(Some(item?));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn it_collects_as_collect_does() {
        let items = [(3, 'c'), (1, 'a'), (3, 'd')];
        assert_eq!(one_by_one::<_, BTreeMap<_, _>>(items), items.into_iter().collect());
        let good = [Ok(2), Ok(1), Ok(2)];
        assert_eq!(one_by_one_or::<_, (), BTreeSet<_>>(good), good.into_iter().collect());
        assert_eq!(one_by_one_or::<_, _, BTreeSet<_>>([Ok(1), Err("first"), Err("second")]), Err("first"));
    }
}
