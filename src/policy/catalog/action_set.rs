//! Sets of S3 actions, small enough to be copied and compared at will.

use super::s3::{S3, S3Action};

/// A set of S3 actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct ActionSet([u64; 4]);

/// How many actions fit. A test of the table fails before AWS outgrows it.
pub(super) const MOST_ACTIONS: usize = 4 * 64;

impl ActionSet {
    /// Adds the action with that place in the table.
    pub(super) fn insert(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }

    /// True if the action with that place in the table is in it.
    fn has(&self, index: usize) -> bool {
        self.0[index / 64] & (1 << (index % 64)) != 0
    }

    /// The set of every action that is there.
    pub(crate) fn all() -> Self {
        Self::of(|_| true)
    }

    /// The actions that `wanted` says.
    pub(crate) fn of(wanted: impl Fn(&S3Action) -> bool) -> Self {
        let mut set = Self::default();
        for (index, action) in S3.actions().iter().enumerate() {
            if wanted(action) {
                set.insert(index);
            }
        }
        set
    }

    /// True without actions.
    pub(crate) fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// The actions in both.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & other.0[word]))
    }

    /// The actions in either.
    #[must_use]
    pub(crate) fn or(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    /// The actions that are not in it.
    #[must_use]
    pub(crate) fn complement(self) -> Self {
        Self(std::array::from_fn(|word| !self.0[word])).and(Self::all())
    }

    /// True if the action of that name is in it.
    pub(crate) fn contains(&self, name: &str) -> bool {
        S3.index(name).is_some_and(|index| self.has(index))
    }

    /// The actions in it, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static S3Action> + '_ {
        S3.actions().iter().enumerate().filter(|(index, _)| self.has(*index)).map(|(_, action)| action)
    }
}

#[cfg(test)]
mod tests {
    use super::ActionSet;

    #[test]
    fn sets_are_what_they_hold() {
        let gets = ActionSet::of(|action| action.name.starts_with("s3:Get"));
        assert!(gets.contains("s3:getobject") && !gets.contains("s3:PutObject") && !gets.contains("s3:Nothing"));
        let others = gets.complement();
        assert!(gets.and(others).is_empty() && !gets.is_empty());
        assert_eq!(gets.or(others), ActionSet::all());
        assert_eq!(gets.iter().count() + others.iter().count(), ActionSet::all().iter().count());
    }
}
