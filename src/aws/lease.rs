//! Credentials that end in the middle of a run, and those that come after them.
//!
//! The SDK reads the profile files once and gives what it found there for as long as the program runs. A run that outlives
//! its session would fail from then on, though the user has signed in again. So once the service has refused credentials as
//! expired, the SDK's whole chain is built anew, files, processes and all, until it gives others or the time is
//! up. Who needs credentials meanwhile waits for that one search, so a paused run sends nothing at all.

use super::Recipe;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as Providing;
use aws_sdk_s3::config::{
    ConfigBag, Credentials, Intercept, ProvideCredentials, RuntimeComponents, SharedCredentialsProvider,
};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef, InterceptorContext,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use aws_smithy_types::retry::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;

/// How long before their end credentials are asked for again, as the SDK does.
const BEFORE_THE_END: Duration = Duration::from_secs(10);
/// How long credentials without an end are taken for good, as the SDK does.
const WITHOUT_AN_END: Duration = Duration::from_secs(15 * 60);
/// The first pause between two looks for other credentials; each further one is twice as long. A look may start a process.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause, and for how long a search that found nothing is not repeated.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// The codes of services for credentials that were good once.
const EXPIRED: [&[u8]; 2] = [b"<Code>ExpiredToken", b"<Code>TokenRefreshRequired"];

/// The credentials of one connection. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(super) struct Lease(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    recipe: Recipe,
    held: Mutex<Held>,
    /// The chain that is asked. Locked while it is, so that nobody asks twice.
    chain: tokio::sync::Mutex<SharedCredentialsProvider>,
    pause: watch::Sender<Option<Duration>>,
}

#[derive(Debug, Default)]
struct Held {
    current: Option<Credentials>,
    /// When to ask for others, without need.
    renew_at: Option<SystemTime>,
    /// The access key that the service called expired.
    refused: Option<String>,
    /// When a search for others ended without any, and why.
    given_up: Option<(Instant, NoSuccessor)>,
    /// How long a search may take.
    patience: Duration,
}

/// There were credentials, and nothing came after them.
#[derive(Debug, Clone, Copy, thiserror::Error)]
enum NoSuccessor {
    #[error("the credentials have expired, and no others were found within {} s", .0.as_secs())]
    InTime(Duration),
    #[error("the credentials have expired; they come from the environment, which cannot change while this runs")]
    Environment,
}

impl Held {
    /// What can be signed with now.
    fn usable(&self, now: SystemTime) -> Option<Credentials> {
        let current = self.current.as_ref()?;
        let is_good = self.renew_at.is_none_or(|at| now < at) && !self.is_refused(current);
        is_good.then(|| current.clone())
    }

    fn is_refused(&self, credentials: &Credentials) -> bool {
        self.refused.as_deref() == Some(credentials.access_key_id())
    }

    /// True for what the service may still take.
    fn takes(&self, found: &Credentials, now: SystemTime) -> bool {
        !self.is_refused(found) && found.expiry().is_none_or(|end| now < end)
    }

    fn adopt(&mut self, found: &Credentials, now: SystemTime) {
        let renew_at = match found.expiry() {
            // What is given again shortly before its end is not asked for at every request.
            Some(end) => (end - BEFORE_THE_END).max(now + FIRST_PAUSE),
            None => now + WITHOUT_AN_END,
        };
        (self.current, self.renew_at, self.given_up) = (Some(found.clone()), Some(renew_at), None);
    }
}

impl Lease {
    /// Credentials that `chain` gives, and what `recipe` makes anew once they have expired.
    pub(super) fn new(recipe: Recipe, chain: SharedCredentialsProvider) -> Self {
        let (held, chain, pause) = (Mutex::default(), tokio::sync::Mutex::new(chain), watch::Sender::new(None));
        Self(Arc::new(Inner { recipe, held, chain, pause }))
    }

    /// Sets how long requests wait for other credentials once theirs have expired; none do unless this is called.
    pub(super) fn set_patience(&self, patience: Duration) {
        self.held().patience = patience;
    }

    /// When the credentials that are in use end; none if they do not, or have not been asked for.
    pub(super) fn end(&self) -> Option<SystemTime> {
        self.held().current.as_ref()?.expiry()
    }

    /// For how long the run is going to wait at most, whenever it waits.
    pub(super) fn pauses(&self) -> watch::Receiver<Option<Duration>> {
        self.0.pause.subscribe()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        if let Some(usable) = self.held().usable(SystemTime::now()) {
            return Ok(usable);
        }
        let mut chain = self.0.chain.lock().await;
        // Whoever held the lock before may have found others, or given up.
        if let Some(usable) = self.held().usable(SystemTime::now()) {
            return Ok(usable);
        }
        let is_first = self.held().current.is_none();
        let found = if is_first { chain.provide_credentials().await? } else { self.successor(&mut chain).await? };
        self.held().adopt(&found, SystemTime::now());
        Ok(found)
    }

    /// Looks for credentials after those that have ended or are about to.
    async fn successor(&self, chain: &mut SharedCredentialsProvider) -> Result<Credentials, CredentialsError> {
        let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
        let waiting = Waiting(&self.0.pause);
        loop {
            let (ended, patience) = {
                let held = self.held();
                let ended = held.current.clone().filter(|current| !held.takes(current, SystemTime::now()));
                if let (Some(_), Some((at, why))) = (&ended, held.given_up)
                    && at.elapsed() < LONGEST_PAUSE
                {
                    return Err(CredentialsError::provider_error(why));
                }
                (ended, held.patience)
            };
            if ended.is_some()
                && let Some(anew) = self.0.recipe.chain().await
            {
                *chain = anew;
            }
            let found = chain.provide_credentials().await;
            if let Ok(found) = &found
                && self.held().takes(found, SystemTime::now())
            {
                return Ok(found.clone());
            }
            let Some(ended) = ended else {
                // Still good for a moment, and asked for again in the next one.
                return self.held().current.clone().ok_or_else(CredentialsError::not_loaded_no_source);
            };
            let why = match std::env::var("AWS_ACCESS_KEY_ID") {
                Ok(key) if key == ended.access_key_id() => Some(NoSuccessor::Environment),
                _ => (began.elapsed() + pause > patience).then_some(NoSuccessor::InTime(patience)),
            };
            if let Some(why) = why {
                self.held().given_up = Some((Instant::now(), why));
                return Err(CredentialsError::provider_error(why));
            }
            waiting.begin(patience);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Tells that the run waits until it is dropped, also where nobody waits any more.
struct Waiting<'told>(&'told watch::Sender<Option<Duration>>);

impl Waiting<'_> {
    fn begin(&self, patience: Duration) {
        self.0.send_if_modified(|told| told.replace(patience).is_none());
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_if_modified(|told| told.take().is_some());
    }
}

impl ProvideCredentials for Lease {
    fn provide_credentials<'a>(&'a self) -> Providing<'a>
    where
        Self: 'a,
    {
        Providing::new(self.credentials())
    }
}

/// The access key that a request was signed with.
#[derive(Debug)]
struct SignedWith(String);

impl Storable for SignedWith {
    type Storer = StoreReplace<Self>;
}

fn says_expired(answer: &HttpResponse) -> bool {
    let body = answer.body().bytes().unwrap_or_default();
    !answer.status().is_success() && EXPIRED.iter().any(|code| body.windows(code.len()).any(|window| window == *code))
}

/// Hears from answers that credentials have expired. An answer to an older request says nothing about newer ones.
#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for Lease {
    fn name(&self) -> &'static str {
        "Lease"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let signature = context.request().headers().get("authorization");
        let scope = signature.and_then(|signature| signature.split_once("Credential="));
        if let Some((key, _)) = scope.and_then(|(_, scope)| scope.split_once('/')) {
            bag.interceptor_state().store_put(SignedWith(key.to_owned()));
        }
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if context.output_or_error().is_err()
            && says_expired(context.response())
            && let Some(SignedWith(key)) = bag.load::<SignedWith>()
        {
            self.held().refused = Some(key.clone());
        }
        Ok(())
    }
}

/// A request that was refused for its credentials is signed again with those that come after them.
impl ClassifyRetry for Lease {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match (context.output_or_error(), context.response()) {
            (Some(Err(_)), Some(answer)) if says_expired(answer) => {
                RetryAction::retryable_error(ErrorKind::ClientError)
            }
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "expired credentials"
    }
}
