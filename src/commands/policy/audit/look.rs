//! What an audit looks at: all of it by reading, and what is refused is kept as such.

use crate::audit::{Limits, Observed, Parts, SeenPolicy, SeenRole};
use crate::aws::ErrorClass;
use crate::aws::s3::S3Error;
use crate::commands::{BUCKETS_AT_ONCE, Context, announced, grants, observe};
use crate::error::CommandError;
use crate::layout::Layout;
use crate::model::{Arn, BucketName, BucketState, ManagedPolicy, RoleName, Seen};
use crate::report::attachment_names;
use crate::world::{AccountError, World};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

/// How many questions to IAM are under way at once. It allows few a second.
const AT_ONCE: usize = 4;

/// Looks at the parts that are asked for.
pub(super) async fn look(
    parts: Parts,
    layout: Option<&Layout>,
    limits: Limits,
    world: &World,
    context: &Context,
) -> Result<Observed, CommandError> {
    let mut observed = Observed::default();
    let (policies_wanted, keys_wanted) = match world.no_account() {
        // The directory asks nobody for rights, so nothing of it is read for those who may have none.
        Some(why) => {
            let hidden = || why.to_owned();
            observed.policies = parts.policies.then(|| Seen::Hidden(hidden()));
            observed.roles = parts.policies.then(|| Seen::Hidden(hidden()));
            observed.users = parts.keys.then(|| Seen::Hidden(hidden()));
            (false, false)
        }
        None => (parts.policies, parts.keys),
    };
    if policies_wanted {
        let looking = "looking at policies and what IAM remembers of their use";
        observed.policies = Some(announced(looking, policies(world, limits), context).await?);
        observed.roles = Some(announced("looking at roles", roles(world), context).await?);
    }
    if keys_wanted {
        observed.users = Some(announced("looking at users and their keys", world.account.users(), context).await?);
    }
    if let Some(layout) = layout.filter(|_| parts.grants) {
        observed.grants = Some(grants::plan(layout, world, context).await?);
    }
    if parts.buckets {
        observed.buckets = Some(announced("looking at the buckets", buckets(layout, world), context).await?);
    }
    Ok(observed)
}

/// An answer, or that it is refused here; a service that is not there refuses as well.
fn unless_refused<T>(answer: Result<T, AccountError>) -> Result<Seen<T>, AccountError> {
    match answer {
        Ok(value) => Ok(Seen::Here(value)),
        Err(error) if is_refused(error.class()) => Ok(Seen::Hidden(error.to_string())),
        Err(error) => Err(error),
    }
}

const fn is_refused(class: ErrorClass) -> bool {
    matches!(class, ErrorClass::Denied | ErrorClass::Unsupported | ErrorClass::NotS3)
}

async fn policies(world: &World, limits: Limits) -> Result<Seen<Vec<SeenPolicy>>, AccountError> {
    let listed = match unless_refused(world.account.policies().await)? {
        Seen::Here(listed) => listed,
        Seen::Absent => return Ok(Seen::Absent),
        Seen::Hidden(why) => return Ok(Seen::Hidden(why)),
    };
    let one = |policy: ManagedPolicy| async move {
        let attachments = world.account.attachments(&policy.arn).await?;
        let is_attached =
            attachments.here().map_or(policy.attachments > 0, |found| !attachment_names(found).is_empty());
        let is_old = policy.created.is_some_and(|made| limits.now.duration_since(made) > limits.unused_after);
        // Nobody is told to use what nobody has, and what is new had no time for it.
        let uses = match is_attached && is_old {
            true => world.account.policy_use(&policy.arn).await?,
            false => Seen::Absent,
        };
        Ok::<_, AccountError>(SeenPolicy { policy, attachments, uses })
    };
    let mut seen: Vec<SeenPolicy> = stream::iter(listed).map(one).buffered(AT_ONCE).try_collect().await?;
    seen.sort_by(|one, other| one.policy.name.cmp(&other.policy.name));
    Ok(Seen::Here(seen))
}

/// All roles but those that services keep for themselves.
async fn roles(world: &World) -> Result<Seen<Vec<SeenRole>>, AccountError> {
    let listed = match unless_refused(world.account.roles().await)? {
        Seen::Here(listed) => listed,
        Seen::Absent => return Ok(Seen::Absent),
        Seen::Hidden(why) => return Ok(Seen::Hidden(why)),
    };
    let own = listed.into_iter().filter(|arn| !arn.resource().starts_with("role/aws-service-role/"));
    let one = |arn: Arn| async move {
        let role = match RoleName::of_arn(&arn) {
            Some(name) => world.account.role(&name).await?,
            None => Seen::Absent,
        };
        Ok::<_, AccountError>(SeenRole { arn, role })
    };
    let mut seen: Vec<SeenRole> = stream::iter(own).map(one).buffered(AT_ONCE).try_collect().await?;
    seen.sort_by(|one, other| one.arn.cmp(&other.arn));
    Ok(Seen::Here(seen))
}

/// The layout's buckets, or all of the caller's own.
async fn buckets(layout: Option<&Layout>, world: &World) -> Result<Seen<Vec<BucketState>>, CommandError> {
    if let Some(layout) = layout {
        return Ok(Seen::Here(observe(layout, world).await?.into_values().collect()));
    }
    let names = match world.store.own_buckets().await {
        Ok(names) => names,
        Err(error) if error.class == ErrorClass::Denied => return Ok(Seen::Hidden(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    let one = |name: BucketName| async move { world.store.bucket_state(&name, &[]).await };
    let seen: Result<Vec<BucketState>, S3Error> =
        stream::iter(names).map(one).buffered(BUCKETS_AT_ONCE).try_collect().await;
    Ok(Seen::Here(seen?))
}
