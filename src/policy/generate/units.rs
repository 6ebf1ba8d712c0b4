//! An entitlement cut into units: the smallest parts that a policy can be split into without giving more than the whole.

use crate::layout::{FolderAccess, Place};
use crate::model::{BucketName, Prefix};
use crate::policy::entitlement::{Entitlement, enclosing};
use std::collections::{BTreeMap, BTreeSet};

/// One part of what a policy gives.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Unit {
    /// On the bucket itself.
    Bucket(BucketUnit),
    /// On objects.
    Objects(ObjectUnit),
}

/// Listing one place, and what else its clients ask of the bucket.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BucketUnit {
    pub(super) bucket: BucketName,
    /// The keys that may be listed; the root means all of them.
    pub(super) listed: Prefix,
    /// Whether anything in the bucket is written, so that unfinished uploads are to be found.
    pub(super) writes: bool,
}

/// Access below one prefix.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ObjectUnit {
    pub(super) bucket: BucketName,
    /// Everything below here ..
    pub(super) prefix: Prefix,
    /// .. gets this much ..
    pub(super) access: FolderAccess,
    /// .. but for these folders, which get less. They stay with the unit: without them it would give too much.
    pub(super) narrower: Vec<(Prefix, FolderAccess)>,
}

/// Cuts an entitlement, places in their order and folders in byte order. Nothing is given twice.
pub(super) fn units(entitlement: &Entitlement) -> Vec<Unit> {
    let by_place: Vec<Vec<ObjectUnit>> =
        entitlement.places.iter().map(|place| object_units(entitlement, place)).collect();
    let given = Given::of(&by_place);
    let mut listed = Listed::of(entitlement);
    let mut units = Vec::new();
    for (place, own) in entitlement.places.iter().zip(&by_place) {
        if let Some(prefix) = listed.at(place) {
            let writes = given.writers.contains(&place.bucket);
            units.push(Unit::Bucket(BucketUnit { bucket: place.bucket.clone(), listed: prefix, writes }));
        }
        let needed = own.iter().filter(|unit| given.needs(unit));
        units.extend(needed.cloned().map(Unit::Objects));
    }
    units
}

/// What all units give together, to find those that give nothing new.
struct Given<'units> {
    most: BTreeMap<(&'units BucketName, &'units Prefix), &'units ObjectUnit>,
    writers: BTreeSet<&'units BucketName>,
}

impl<'units> Given<'units> {
    fn of(by_place: &'units [Vec<ObjectUnit>]) -> Self {
        let mut given = Self { most: BTreeMap::new(), writers: BTreeSet::new() };
        for unit in by_place.iter().flatten() {
            let most = given.most.entry((&unit.bucket, &unit.prefix)).or_insert(unit);
            if unit.access > most.access {
                *most = unit;
            }
            if unit.access > FolderAccess::Read {
                given.writers.insert(&unit.bucket);
            }
        }
        given
    }

    /// True unless an equal unit stands earlier, or one around it gives as much.
    fn needs(&self, unit: &ObjectUnit) -> bool {
        let here = self.most.get(&(&unit.bucket, &unit.prefix)).copied();
        let around = enclosing(unit.prefix.as_str()).skip(1).chain([Prefix::root()]);
        let mut around = around.filter(|prefix| *prefix != unit.prefix);
        here.is_some_and(|most| std::ptr::eq(most, unit))
            && !around
                .any(|prefix| self.most.get(&(&unit.bucket, &prefix)).is_some_and(|outer| outer.access >= unit.access))
    }
}

/// Which place's listing is said where.
struct Listed<'places> {
    places: BTreeSet<(&'places BucketName, &'places Prefix)>,
    /// Buckets of which everything is listed, until that has been said.
    whole: BTreeMap<&'places BucketName, bool>,
}

impl<'places> Listed<'places> {
    fn of(entitlement: &'places Entitlement) -> Self {
        let places = entitlement.places.iter().map(|place| (&place.bucket, &place.prefix)).collect();
        let whole = entitlement.buckets().into_iter().filter(|bucket| entitlement.lists_all_of(bucket));
        Self { places, whole: whole.map(|bucket| (bucket, false)).collect() }
    }

    /// What the place lists, unless another place's listing shows it as well.
    fn at(&mut self, place: &Place) -> Option<Prefix> {
        if let Some(said) = self.whole.get_mut(&place.bucket) {
            return (!std::mem::replace(said, true)).then(Prefix::root);
        }
        let mut around = enclosing(place.prefix.as_str()).skip(1);
        let shown = around.any(|prefix| self.places.contains(&(&place.bucket, &prefix)));
        (!shown).then(|| place.prefix.clone())
    }
}

/// The place as a whole, the folders in it that get more, and within each those that get less.
fn object_units(entitlement: &Entitlement, place: &Place) -> Vec<ObjectUnit> {
    let unit = |prefix: &Prefix, access| ObjectUnit {
        bucket: place.bucket.clone(),
        prefix: prefix.clone(),
        access,
        narrower: Vec::new(),
    };
    let base = entitlement.outside_folders(place);
    let mut units = vec![unit(&place.prefix, base)];
    // Each folder so far: its access and the unit that it belongs to.
    let mut seen: BTreeMap<&Prefix, (FolderAccess, usize)> = BTreeMap::new();
    let ground = entitlement.grounds.get(&place.bucket);
    for (folder, cap) in ground.into_iter().flat_map(|ground| ground.folders_below(&place.prefix)) {
        let access = cap.min(entitlement.access);
        let around = enclosing(folder.as_str()).skip(1).find_map(|prefix| seen.get(&prefix).copied());
        let (outer, mut owner) = around.unwrap_or((base, 0));
        if access > outer {
            units.push(unit(folder, access));
            owner = units.len() - 1;
        } else if access < outer {
            units[owner].narrower.push((folder.clone(), access));
        }
        seen.insert(folder, (access, owner));
    }
    units
}
