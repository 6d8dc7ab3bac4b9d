//! Sets of rows of the history, kept as ranges: most rows of a seal follow each other.

use std::collections::BTreeMap;
use std::fmt;

/// A set of row ids. As text: `1-17,19,21-40`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowIds {
    /// The last id of each range, by its first; no two ranges touch.
    ranges: BTreeMap<i64, i64>,
}

impl RowIds {
    /// The set that the text describes; `None` if it is not one that [`RowIds`] writes.
    pub fn parse(text: &str) -> Option<RowIds> {
        let mut ids = RowIds::default();
        for range in text.split(',').filter(|_| !text.is_empty()) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            ids.insert_range(first.parse().ok()?, last.parse().ok()?)?;
        }
        (ids.to_string() == text).then_some(ids)
    }

    /// Adds an id.
    pub fn insert(&mut self, id: i64) {
        if self.contains(id) {
            return;
        }
        let (mut first, mut last) = (id, id);
        if let Some((before, end)) = self.ranges.range(..id).next_back().map(|(first, last)| (*first, *last))
            && end + 1 == id
        {
            first = before;
        }
        if let Some(end) = id.checked_add(1).and_then(|next| self.ranges.remove(&next)) {
            last = end;
        }
        self.ranges.insert(first, last);
    }

    /// Adds all ids from `first` to `last`, which come after those that are there; `None` if they do not.
    pub fn insert_range(&mut self, first: i64, last: i64) -> Option<()> {
        if first < 1 || last < first {
            return None;
        }
        match self.ranges.last_entry() {
            Some(end) if *end.get() >= first => return None,
            Some(mut end) if *end.get() + 1 == first => *end.get_mut() = last,
            _ => drop(self.ranges.insert(first, last)),
        }
        Some(())
    }

    /// Takes an id out; whether it was there.
    pub fn remove(&mut self, id: i64) -> bool {
        let Some((first, last)) = self.range_around(id) else { return false };
        self.ranges.remove(&first);
        if first < id {
            self.ranges.insert(first, id - 1);
        }
        if id < last {
            self.ranges.insert(id + 1, last);
        }
        true
    }

    /// Whether the id is there.
    pub fn contains(&self, id: i64) -> bool {
        self.range_around(id).is_some()
    }

    fn range_around(&self, id: i64) -> Option<(i64, i64)> {
        let (first, last) = self.ranges.range(..=id).next_back()?;
        (id <= *last).then_some((*first, *last))
    }

    /// The ranges, first and last id of each, in order.
    pub fn ranges(&self) -> impl Iterator<Item = (i64, i64)> {
        self.ranges.iter().map(|(first, last)| (*first, *last))
    }

    /// The ids, in order.
    pub fn iter(&self) -> impl Iterator<Item = i64> {
        self.ranges().flat_map(|(first, last)| first..=last)
    }

    /// How many there are.
    pub fn count(&self) -> i64 {
        self.ranges().fold(0, |count: i64, (first, last)| count.saturating_add((last - first).saturating_add(1)))
    }

    /// The highest.
    pub fn max(&self) -> Option<i64> {
        self.ranges.last_key_value().map(|(_, last)| *last)
    }
}

impl FromIterator<i64> for RowIds {
    fn from_iter<I: IntoIterator<Item = i64>>(ids: I) -> RowIds {
        let mut set = RowIds::default();
        ids.into_iter().for_each(|id| set.insert(id));
        set
    }
}

impl fmt::Display for RowIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.ranges().enumerate() {
            let separator = if index > 0 { "," } else { "" };
            match first == last {
                true => write!(f, "{separator}{first}")?,
                false => write!(f, "{separator}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_set_is_written_as_ranges() {
        let ids: RowIds = [1, 2, 3, 5, 9, 8].into_iter().collect();

        assert_eq!(ids.to_string(), "1-3,5,8-9");
        assert_eq!((ids.count(), ids.max()), (6, Some(9)));
        assert_eq!(RowIds::parse("1-3,5,8-9"), Some(ids));
        assert_eq!(RowIds::parse(""), Some(RowIds::default()));
    }

    #[test]
    fn what_nobody_writes_is_refused() {
        for text in ["1-3,2", "3,1", "1,2", "1-1", "0", "-1", "1-", "a", "1,,3", " 1", "01", "9223372036854775808"] {
            assert_eq!(RowIds::parse(text), None, "{text}");
        }
        let all = RowIds::parse("1-9223372036854775807").unwrap();
        assert_eq!(all.count(), i64::MAX);
    }

    proptest! {
        #[test]
        fn it_is_a_set(steps in prop::collection::vec((1_i64..40, any::<bool>()), 0..80)) {
            let (mut ids, mut expected) = (RowIds::default(), BTreeSet::new());
            for (id, comes) in steps {
                if comes {
                    ids.insert(id);
                    expected.insert(id);
                } else {
                    prop_assert_eq!(ids.remove(id), expected.remove(&id));
                }
            }
            prop_assert_eq!(ids.iter().collect::<Vec<_>>(), expected.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(ids.count() as usize, expected.len());
            prop_assert_eq!(RowIds::parse(&ids.to_string()), Some(ids));
        }
    }
}
