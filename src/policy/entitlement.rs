//! What a policy is to give, key by key: the grant, bounded by the folders it meets. Generated documents and expectations
//! about access both follow from here.
//!
//! - A key in a folder: the lesser of the grant's access and the folder's. The deepest folder counts, but what a folder
//!   takes from the folder around it, no folder inside gives back: only a denial can take away, and denials win.
//! - A key in a granted place and in no folder: reading only, which no folder forbids. What is written belongs in a folder.
//!   A place without folders gives the whole grant.

use crate::layout::{Bucket, Folder, FolderAccess, Grant, Layout, ListScope, Place};
use crate::model::{Arn, BucketName, Prefix};
use std::collections::BTreeMap;
use std::ops::Bound;

/// What one policy is to give, whether a layout's grant says so or a command line.
#[derive(Debug, Clone, PartialEq)]
pub struct Entitlement {
    /// The policy's name.
    pub name: String,
    /// The most that is given anywhere.
    pub access: FolderAccess,
    /// How much a listing may show.
    pub list: ListScope,
    /// Where.
    pub places: Vec<Place>,
    /// What is known of the buckets of those places; one that is not here has neither folders nor a key.
    pub grounds: BTreeMap<BucketName, Ground>,
}

/// What is known of a bucket that a policy speaks of.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ground {
    /// The KMS key of its default encryption.
    pub kms_key: Option<Arn>,
    /// Its folders, each with the most that anybody gets there.
    caps: BTreeMap<Prefix, FolderAccess>,
}

impl Ground {
    /// A bucket of a layout.
    pub fn of(bucket: &Bucket) -> Self {
        Self { kms_key: bucket.kms_key.clone(), caps: caps(&bucket.folders) }
    }

    /// The folders in byte order, each with the most that anybody gets there.
    pub fn folders(&self) -> impl Iterator<Item = (&Prefix, FolderAccess)> {
        self.caps.iter().map(|(prefix, cap)| (prefix, *cap))
    }

    /// The folders inside of `prefix`, without itself.
    pub(super) fn folders_below<'here>(
        &'here self,
        prefix: &'here Prefix,
    ) -> impl Iterator<Item = (&'here Prefix, FolderAccess)> {
        let from = (Bound::Excluded(prefix), Bound::Unbounded);
        let below = self.caps.range(from).take_while(|(folder, _)| folder.as_str().starts_with(prefix.as_str()));
        below.map(|(folder, cap)| (folder, *cap))
    }

    /// The most that anybody gets at `key`; none outside of all folders. A folder's own prefix is a key in it.
    fn cap_at(&self, key: &str) -> Option<FolderAccess> {
        enclosing(key).find_map(|prefix| self.caps.get(&prefix).copied())
    }
}

/// The prefixes that `key` lies in, the longest first, without the root.
pub(super) fn enclosing(key: &str) -> impl Iterator<Item = Prefix> {
    key.rmatch_indices('/').filter_map(|(slash, _)| key[..=slash].parse().ok())
}

/// Each folder's cap once the folders around it have had their say.
fn caps(folders: &[Folder]) -> BTreeMap<Prefix, FolderAccess> {
    let declared: BTreeMap<&Prefix, FolderAccess> =
        folders.iter().map(|folder| (&folder.prefix, folder.access)).collect();
    // In byte order a folder comes before those inside of it. The second value is what they may reach at most.
    let mut judged: BTreeMap<Prefix, (FolderAccess, FolderAccess)> = BTreeMap::new();
    for (prefix, wanted) in declared {
        let around = enclosing(prefix.as_str()).skip(1).find_map(|prefix| judged.get(&prefix).copied());
        let (outer, ceiling) = around.unwrap_or((wanted, FolderAccess::ReadWrite));
        let cap = wanted.min(ceiling);
        judged.insert(prefix.clone(), (cap, if cap < outer { cap } else { ceiling }));
    }
    judged.into_iter().map(|(prefix, (cap, _))| (prefix, cap)).collect()
}

impl Entitlement {
    /// What a grant of a layout gives.
    pub fn of_grant(layout: &Layout, grant: &Grant) -> Self {
        let granted = |bucket: &&Bucket| grant.on.iter().any(|place| place.bucket == bucket.name);
        Self {
            name: grant.policy.clone(),
            access: grant.access,
            list: grant.list,
            places: grant.on.clone(),
            grounds: layout
                .buckets
                .iter()
                .filter(granted)
                .map(|bucket| (bucket.name.clone(), Ground::of(bucket)))
                .collect(),
        }
    }

    /// What a key gets: none where the policy gives nothing.
    pub fn at(&self, bucket: &BucketName, key: &str) -> Option<FolderAccess> {
        let cap = self.grounds.get(bucket).and_then(|ground| ground.cap_at(key));
        let places =
            self.places.iter().filter(|place| place.bucket == *bucket && key.starts_with(place.prefix.as_str()));
        places.map(|place| cap.map_or_else(|| self.outside_folders(place), |cap| cap.min(self.access))).max()
    }

    /// What a place gives to keys that lie in no folder of their own.
    pub(super) fn outside_folders(&self, place: &Place) -> FolderAccess {
        let Some(ground) = self.grounds.get(&place.bucket) else { return self.access };
        if let Some(cap) = ground.cap_at(place.prefix.as_str()) {
            return cap.min(self.access);
        }
        match ground.folders_below(&place.prefix).next() {
            Some(_) => FolderAccess::Read,
            None => self.access,
        }
    }

    /// True if every key's name of `bucket` may be listed, with any prefix and without.
    pub fn lists_all_of(&self, bucket: &BucketName) -> bool {
        let mut places = self.places.iter().filter(|place| place.bucket == *bucket);
        places.any(|place| self.list == ListScope::Bucket || place.prefix.is_root())
    }

    /// True if a listing of `bucket` with this prefix and delimiter is given. None stands for a parameter not sent,
    /// which an empty one is not.
    pub fn lists(&self, bucket: &BucketName, prefix: Option<&str>, delimiter: Option<&str>) -> bool {
        if self.lists_all_of(bucket) {
            return true;
        }
        let Some(prefix) = prefix else { return false };
        self.places.iter().filter(|place| place.bucket == *bucket).any(|place| {
            let folder = place.prefix.as_str();
            prefix.starts_with(folder)
                || (self.list == ListScope::Root && prefix.is_empty() && delimiter == Some("/"))
                || (folder.strip_suffix('/') == Some(prefix)
                    && (delimiter == Some("/") || !self.has_namesake(bucket, &place.prefix)))
        })
    }

    /// True if another folder's name begins with that of `folder`: listing the bare name without a delimiter would show
    /// what is in there too.
    pub(super) fn has_namesake(&self, bucket: &BucketName, folder: &Prefix) -> bool {
        let bare = folder.as_str().trim_end_matches('/');
        let known = self.grounds.get(bucket).into_iter().flat_map(|ground| ground.caps.keys());
        let granted = self.places.iter().filter(|place| place.bucket == *bucket).map(|place| &place.prefix);
        known
            .chain(granted)
            .map(Prefix::as_str)
            .any(|other| other.starts_with(bare) && !other.starts_with(folder.as_str()))
    }

    /// The buckets, each once, in the order in which places name them.
    pub fn buckets(&self) -> Vec<&BucketName> {
        let mut buckets: Vec<&BucketName> = Vec::new();
        for place in &self.places {
            if !buckets.contains(&&place.bucket) {
                buckets.push(&place.bucket);
            }
        }
        buckets
    }

    /// The KMS key of a bucket.
    pub fn kms_key(&self, bucket: &BucketName) -> Option<&Arn> {
        self.grounds.get(bucket)?.kms_key.as_ref()
    }
}

#[cfg(test)]
mod tests;
