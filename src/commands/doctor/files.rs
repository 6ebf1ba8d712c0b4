//! Documents that are named on the command line stand in for the account: nothing is looked at.

use super::{DoctorArgs, layout_name, typed_context, unseen};
use crate::commands::Loaded;
use crate::doctor::seen::{Held, Layers, Standing};
use crate::doctor::{Case, Known, Question, Reading};
use crate::error::CommandError;
use crate::local;
use crate::model::{HumanBytes, PolicyJson};
use crate::policy::{Caller, MAX_DOCUMENT_BYTES};
use crate::report::Outcome;
use std::path::Path;

/// True if documents were named.
pub(super) const fn given(args: &DoctorArgs) -> bool {
    !args.policy.is_empty() || args.bucket_policy.is_some() || args.boundary.is_some()
}

/// The case that the documents make.
pub(super) fn case(
    args: &DoctorArgs,
    question: &Question,
    reading: Option<&Reading>,
    loaded: Option<Loaded>,
) -> Result<Case, CommandError> {
    let hidden = |why: &str| Standing::Hidden(why.to_owned());
    let all = |paths: &[std::path::PathBuf]| paths.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>();
    let one = |path: &Option<std::path::PathBuf>, without: Standing| match path {
        Some(path) => Ok(Standing::Held(vec![read(path)?])),
        None => Ok::<_, CommandError>(without),
    };
    let layers = Layers {
        identity: Standing::Held(all(&args.policy)?),
        boundary: one(&args.boundary, Standing::Unlimited)?,
        bucket: one(&args.bucket_policy, Standing::Unlimited)?,
        ..Layers::hidden("not given")
    };
    let layers = Layers { session: hidden("a session's own policy was not given"), ..layers };
    let known = Known { context: typed_context(&args.context)?, ..Known::default() };
    let loaded = loaded.map(|loaded| (loaded.layout, layout_name(args)));
    let account = loaded.as_ref().and_then(|(layout, _)| layout.account.as_ref());
    let account = account.map_or("000000000000", |account| account.as_str());
    let mut question = question.clone();
    // A role's name will do where no account is asked.
    if let Some(name) = question.principal.as_mut().filter(|name| Caller::parse(name, None).is_err()) {
        *name = format!("arn:aws:iam::{account}:role/{name}");
    }
    unseen(&question, &known, reading, layers, loaded).map_err(|missing| CommandError::usage(missing.to_string()))
}

fn read(path: &Path) -> Result<Held, CommandError> {
    let name = path.display().to_string();
    let most_bytes = MAX_DOCUMENT_BYTES as u64;
    let bytes = local::read_at_most(path, most_bytes).map_err(|error| CommandError::unreadable(path, &error))?;
    let bytes = bytes.ok_or_else(|| invalid(format!("`{name}` is larger than {}", HumanBytes(most_bytes))))?;
    let text = String::from_utf8(bytes).map_err(|_| invalid(format!("`{name}` is not UTF-8 text")))?;
    Held::new(&name, &PolicyJson(text)).map_err(|why| invalid(format!("{name}: {why}")))
}

fn invalid(message: String) -> CommandError {
    CommandError::new("policy", Outcome::Invalid, message)
}
