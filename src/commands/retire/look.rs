//! What `retire` looks at before anything is decided: the bucket, all versions in it, and who reaches it.

use super::{RetireArgs, unsorted};
use crate::access::AccountPlan;
use crate::apply::retire::NamedObjects;
use crate::aws::ErrorClass;
use crate::aws::s3::S3Error;
use crate::commands::{Context, Loaded, grants};
use crate::config;
use crate::error::CommandError;
use crate::model::{AccountId, BucketName, BucketState, Existence, ManagedPolicy, Seen};
use crate::report::{Finding, FolderRecord, HolderRecord, HoldingsRecord};
use crate::retire::{
    Holdings, Inventory, Target, Without, access_that_remains, foreign, let_in_by_bucket, may_log_into, others_unread,
    reaching, revoke,
};
use crate::world::{AccountError, World};
use futures_util::TryStreamExt as _;

/// Everything that looking takes.
pub(super) struct Look<'run> {
    pub(super) loaded: &'run Loaded,
    pub(super) target: &'run Target,
    pub(super) world: &'run World,
    pub(super) args: &'run RetireArgs,
    pub(super) context: &'run Context,
}

/// The bucket, and what was counted in it.
pub(super) struct Bucket {
    pub(super) state: BucketState,
    /// False for a bucket that is somebody else's: then nothing of it was listed.
    pub(super) is_counted: bool,
    pub(super) holdings: Holdings,
    pub(super) named: NamedObjects,
    pub(super) uploads: u64,
    /// The buckets that are there and log into it.
    pub(super) sources: Vec<BucketName>,
    /// What the bucket's own policy lets others do.
    pub(super) let_in: Option<Finding>,
}

/// Who reaches it.
pub(super) struct Access {
    pub(super) plan: AccountPlan,
    pub(super) reached_by: Vec<HolderRecord>,
    pub(super) is_seen: bool,
    pub(super) findings: Vec<Finding>,
}

impl Look<'_> {
    /// The bucket and all versions in the target.
    pub(super) async fn bucket(&self) -> Result<Bucket, CommandError> {
        let (layout, target) = (&self.loaded.layout, self.target);
        let state = self.world.store.bucket_state(&target.bucket, &[]).await?;
        self.right_region(&state)?;
        let mut inventory = Inventory::new(layout, target, &state.versioning);
        let mut named = NamedObjects::new(&target.bucket, &config::temporary_folder(&self.context.environment));
        let is_counted = foreign(layout, target, &state).is_none();
        let mut uploads = 0;
        if is_counted && state.existence == Existence::Present {
            self.count(&mut inventory, &mut named).await?;
            uploads = self.unfinished().await?;
        }
        let is_seen = is_counted && state.existence == Existence::Present;
        let let_in = is_seen.then(|| let_in_by_bucket(target, &state.policy)).flatten();
        let sources = self.sources().await?;
        Ok(Bucket { is_counted, holdings: inventory.finish(), named, uploads, sources, let_in, state })
    }

    /// In another Region every further request would only be redirected.
    fn right_region(&self, state: &BucketState) -> Result<(), CommandError> {
        match &state.region {
            Some(region) if self.world.store.is_aws() && *region != self.world.region => {
                let message = format!("bucket `{}` is in {region}, not in {}", self.target.bucket, self.world.region);
                let failed = CommandError::new("wrong-region", crate::report::Outcome::Invalid, message);
                Err(failed.hint(format!("pass `--region {region}`")))
            }
            _ => Ok(()),
        }
    }

    async fn count(&self, inventory: &mut Inventory<'_>, named: &mut NamedObjects) -> Result<(), CommandError> {
        let target = self.target;
        let mut pages = std::pin::pin!(self.world.store.list_versions(&target.bucket, &target.prefix));
        while let Some(page) = pages.try_next().await? {
            for entry in page {
                let Some(delete) = inventory.take(entry) else { continue };
                let chosen = match (&self.args.delete_objects, self.args.all_versions) {
                    (None, _) => None,
                    (Some(_), true) => Some(delete.for_good),
                    (Some(_), false) => delete.plain,
                };
                if let Some(chosen) = chosen {
                    named.push(&target.bucket, chosen).map_err(unsorted)?;
                }
            }
        }
        Ok(())
    }

    /// How many uploads are unfinished. An endpoint that cannot list them has none to tell of.
    async fn unfinished(&self) -> Result<u64, S3Error> {
        let mut pages = std::pin::pin!(self.world.store.list_uploads(&self.target.bucket, self.target.prefix.as_str()));
        let mut count = 0;
        loop {
            match pages.try_next().await {
                Ok(Some(page)) => count += page.len() as u64,
                Ok(None) => return Ok(count),
                Err(error) if error.class == ErrorClass::Unsupported => return Ok(count),
                Err(error) => return Err(error),
            }
        }
    }

    /// The buckets of the layout that are there and whose access logs go to the target.
    async fn sources(&self) -> Result<Vec<BucketName>, S3Error> {
        let mut sources = Vec::new();
        let wanted = self.target.wanted(&self.loaded.layout).filter(|_| self.target.project.is_none());
        for (source, _) in wanted.into_iter().flat_map(|bucket| &bucket.logs_from) {
            let state = self.world.store.bucket_state(source, &[]).await?;
            if may_log_into(&state, &self.target.bucket) {
                sources.push(source.clone());
            }
        }
        Ok(sources)
    }

    /// Whose access goes, and whose stays.
    pub(super) async fn access(&self, without: &Without) -> Result<Access, CommandError> {
        let layout = &self.loaded.layout;
        let state = match grants::observe(layout, self.world, self.context).await? {
            grants::Looked::Found(state) => state,
            grants::Looked::OutOfReach { findings, .. } => {
                let plan = AccountPlan { findings, ..AccountPlan::default() };
                return Ok(Access { plan, reached_by: Vec::new(), is_seen: false, findings: Vec::new() });
            }
        };
        let plan = revoke(layout, without, &state);
        let (account, partition) = (&state.account, state.partition.as_str());
        let reaches = |policy: &ManagedPolicy| {
            !reaching(layout, self.target, std::slice::from_ref(policy), account, partition).is_empty()
        };
        let (policies, unread) = match self.world.account.policies_that(reaches).await {
            Ok(policies) => (policies, None),
            Err(error) if error.class() == ErrorClass::Denied => {
                let named = state.policies.values().filter_map(Seen::here);
                let known = named.chain(state.former.here().into_iter().flatten()).cloned().collect();
                (known, Some(error.to_string()))
            }
            Err(error) => return Err(error.into()),
        };
        let reached_by = self.reached_by(&policies, account, partition).await?;
        let mut findings = access_that_remains(layout, self.target, &reached_by);
        findings.extend(unread.iter().map(|why| others_unread(self.target, why)));
        Ok(Access { plan, reached_by, is_seen: unread.is_none(), findings })
    }

    async fn reached_by(
        &self,
        policies: &[ManagedPolicy],
        account: &AccountId,
        partition: &str,
    ) -> Result<Vec<HolderRecord>, AccountError> {
        let mut records = Vec::new();
        for reaching in reaching(&self.loaded.layout, self.target, policies, account, partition) {
            let attachments = self.world.account.attachments(&reaching.policy.arn).await?;
            records.push(reaching.record(&attachments));
        }
        Ok(records)
    }

    /// What is shown of it.
    pub(super) fn record(&self, bucket: &Bucket, reached_by: Vec<HolderRecord>, access_seen: bool) -> HoldingsRecord {
        let held = &bucket.holdings;
        let newest = held.newest.as_ref();
        HoldingsRecord {
            target: self.target.url(),
            exists: bucket.state.existence == Existence::Present,
            objects: held.objects.count,
            bytes: held.objects.bytes,
            markers: held.markers,
            noncurrent_versions: held.noncurrent.count,
            noncurrent_bytes: held.noncurrent.bytes,
            delete_markers: held.delete_markers,
            unfinished_uploads: bucket.uploads,
            newest: newest.map(|(time, _)| time.to_string()),
            newest_key: newest.map(|(_, key)| key.to_string()),
            folders: held
                .folders
                .iter()
                .map(|(folder, amount)| FolderRecord {
                    folder: folder.clone(),
                    versions: amount.count,
                    bytes: amount.bytes,
                })
                .collect(),
            reached_by,
            access_seen,
            logged_by: bucket.sources.iter().map(ToString::to_string).collect(),
        }
    }
}
