//! Where the source of a copy is reached another way than its target: another account, Region or endpoint.

use crate::apply::transfer::Way;
use crate::aws::s3::Store;
use crate::commands::Context;
use crate::config::{Flags, Settings, Target};
use crate::error::CommandError;
use crate::model::{Location, Region};
use crate::sync::saved::Place;
use crate::world::World;
use clap::Args;

/// How the source of a copy is reached.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "The source of a copy from S3 to S3, where it is not reached as its target is")]
pub(super) struct SourceArgs {
    /// The profile that reads the source
    #[arg(long, value_name = "NAME")]
    source_profile: Option<String>,
    /// The Region of the source
    #[arg(long, value_name = "REGION")]
    source_region: Option<Region>,
    /// The endpoint of the source
    #[arg(long, value_name = "URL")]
    source_endpoint_url: Option<String>,
}

/// Who reads the source of a copy, and how its bytes get to the target.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) store: Store,
    pub(super) way: Way,
    /// Where that is, if the command line says so.
    pub(super) place: Option<Place>,
    /// Whether a bucket of one name is the same bucket on both sides.
    pub(super) same_buckets: bool,
}

impl SourceArgs {
    /// Whether nothing is said of it.
    pub(super) const fn is_empty(&self) -> bool {
        self.source_profile.is_none() && self.source_region.is_none() && self.source_endpoint_url.is_none()
    }

    /// Refuses what only means something between two places in S3.
    pub(super) fn check(&self, source: &Location, target: &Location) -> Result<(), CommandError> {
        if self.is_empty() || matches!((source, target), (Location::S3(_), Location::S3(_))) {
            return Ok(());
        }
        let message = "`--source-profile`, `--source-region` and `--source-endpoint-url` are for copies from S3 to S3";
        let hint = if matches!(source, Location::Local(_)) {
            "the source is here; `--profile`, `--region` and `--endpoint-url` say how the target is reached"
        } else {
            "the target is here; `--profile`, `--region` and `--endpoint-url` say how the source is reached"
        };
        Err(CommandError::usage(message).hint(hint))
    }

    /// How the source is reached. What is not given is as for the target, but a profile has a Region and no role.
    fn settings(&self, flags: &Flags, context: &Context) -> Result<Settings, CommandError> {
        if flags.local.is_some() && self.source_profile.is_none() && self.source_endpoint_url.is_none() {
            let message =
                "with `--local` only the target is the embedded endpoint, and nothing says where the source is";
            return Err(CommandError::usage(message).hint("add `--source-profile` or `--source-endpoint-url`"));
        }
        let named = self.source_profile.is_some();
        let flags = Flags {
            profile: self.source_profile.clone().or_else(|| flags.profile.clone()),
            region: self.source_region.clone().or_else(|| flags.region.clone().filter(|_| !named)),
            endpoint_url: self.source_endpoint_url.clone().or_else(|| flags.endpoint_url.clone()),
            local: None,
            as_role: flags.as_role.clone().filter(|_| !named && flags.local.is_none()),
            session_policy: None,
            ca_bundle: flags.ca_bundle.clone(),
            silence: flags.silence,
        };
        Ok(Settings::resolve(&flags, None, None, &context.environment)?)
    }

    /// Reaches the source of a copy to `target`, which `settings` lead to, as `flags` say where nothing else is said.
    pub(super) async fn reach(
        &self,
        flags: &Flags,
        settings: &Settings,
        target: &World,
        with_retries: bool,
        context: &Context,
    ) -> Result<Origin, CommandError> {
        // The source may belong to another account, which its bucket policy then lets in.
        if self.is_empty() {
            let store = target.store.of_any_owner();
            if !store.is_aws() {
                return Ok(Origin { store, way: Way::INSIDE, place: None, same_buckets: true });
            }
            let store = store.in_any_region();
            return Ok(Origin { way: Way::Across(store.clone()), store, place: None, same_buckets: true });
        }
        let own = self.settings(flags, context)?;
        let world = crate::commands::open(&own, None, context).await?;
        context.ui.note(&format!("reading the source {}", world.identity_record()));
        let store = world.store.of_any_owner();
        let store = if with_retries { store } else { store.without_retries() };
        let store = if store.is_aws() { store.in_any_region() } else { store };
        let is_one_caller = same_caller(settings, &own) && partition(&world.region) == partition(&target.region);
        let way = if is_one_caller { Way::Across(store.clone()) } else { Way::Through(store.clone()) };
        let endpoint = world.place.clone();
        let same_buckets = endpoint == target.place;
        let place = Some(Place { endpoint, account: world.identity.account.clone(), region: world.region });
        Ok(Origin { store, way, place, same_buckets })
    }
}

/// Whether both sides are the same endpoint with the same credentials for sure: then the service may copy by itself.
fn same_caller(target: &Settings, source: &Settings) -> bool {
    matches!(target.target, Target::Remote { .. }) && target.target == source.target
}

/// The part of AWS that a Region belongs to: credentials and buckets of one mean nothing in another.
///
/// Source: <https://docs.aws.amazon.com/general/latest/gr/rande.html>
fn partition(region: &Region) -> &'static str {
    ["cn-", "us-gov-", "us-iso-", "us-isob-", "us-isof-", "eu-isoe-", "eusc-"]
        .into_iter()
        .find(|start| region.as_str().starts_with(start))
        .unwrap_or("")
}
