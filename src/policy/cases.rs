//! Files of cases: one request, its policies and the verdict that is expected. The format stands in
//! `tests/cases/policy/README.md`.

use super::caller::Caller;
use super::context::{Context, Value};
use super::decision::Verdict;
use super::document::Document;
use super::evaluate::{Policies, Policy};
use super::json::Json;
use super::mistake::DocumentMistake;
use super::path::DocumentPath;
use super::request::Request;
use std::fmt;
use std::sync::Arc;

/// One case.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Its id.
    pub id: String,
    /// What it shows, if it says so.
    pub title: Option<String>,
    /// The request.
    pub request: Request,
    /// The policies.
    pub policies: Policies,
    /// The verdict that is expected.
    pub expected: Option<Verdict>,
}

/// What is wrong with a file of cases, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct CaseMistake {
    path: DocumentPath,
    message: String,
}

impl fmt::Display for CaseMistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.depth() {
            0 => out.write_str(&self.message),
            _ => write!(out, "`{}` {}", self.path, self.message),
        }
    }
}

impl From<DocumentMistake> for CaseMistake {
    fn from(mistake: DocumentMistake) -> Self {
        Self { path: DocumentPath::root(), message: mistake.to_string() }
    }
}

/// Reads a file of cases; every mistake comes back at once.
pub fn parse(text: &str) -> Result<Vec<Case>, Vec<CaseMistake>> {
    let json = Json::parse(text).map_err(|mistakes| mistakes.into_iter().map(CaseMistake::from).collect::<Vec<_>>())?;
    let Json::List(items) = &json else {
        let message = format!("a file of cases is a list, not {}", json.kind());
        return Err(vec![CaseMistake { path: DocumentPath::root(), message }]);
    };
    let mut mistakes = Vec::new();
    let place = |index| Place { path: DocumentPath::root().index(index), json: Some(&items[index]) };
    let read = |index| read_case(&place(index)).map_err(|mistake| mistakes.push(mistake)).ok();
    let cases: Vec<Case> = (0..items.len()).filter_map(read).collect();
    if mistakes.is_empty() { Ok(cases) } else { Err(mistakes) }
}

/// A value with its place, present or not.
struct Place<'json> {
    path: DocumentPath,
    json: Option<&'json Json>,
}

impl<'json> Place<'json> {
    fn get(&self, name: &str) -> Self {
        let json = self.json.and_then(|json| json.get(name)).filter(|json| **json != Json::Null);
        Self { path: self.path.name(name), json }
    }

    fn mistake(&self, message: impl Into<String>) -> CaseMistake {
        CaseMistake { path: self.path.clone(), message: message.into() }
    }

    fn text(&self) -> Result<&'json str, CaseMistake> {
        match self.json {
            Some(Json::Text(text)) => Ok(text),
            Some(other) => Err(self.mistake(format!("must be a text, not {}", other.kind()))),
            None => Err(self.mistake("is missing")),
        }
    }

    fn items(&self) -> Result<Vec<Self>, CaseMistake> {
        match self.json {
            Some(Json::List(items)) => Ok(items
                .iter()
                .enumerate()
                .map(|(index, item)| Self { path: self.path.index(index), json: Some(item) })
                .collect()),
            Some(other) => Err(self.mistake(format!("must be a list, not {}", other.kind()))),
            None => Err(self.mistake("is missing")),
        }
    }

    /// A document, named by its place in the case.
    fn policy(&self, name: String) -> Result<Arc<Policy>, CaseMistake> {
        let json = self.json.unwrap_or(&Json::Null);
        let document = Document::from_json(json).map_err(|mistake| self.mistake(format!("is no policy: {mistake}")))?;
        Ok(Arc::new(Policy { name, document }))
    }
}

fn read_case(case: &Place<'_>) -> Result<Case, CaseMistake> {
    let id = case.get("id").text()?.to_owned();
    let title = case.get("title").text().ok().map(str::to_owned);
    let expected = case.get("expected");
    let expected = match expected.json {
        None => None,
        Some(_) => Some(
            Verdict::parse(expected.text()?)
                .ok_or_else(|| expected.mistake("must be `allow`, `explicit-deny` or `implicit-deny`"))?,
        ),
    };
    let request = read_request(case)?;
    let policies = read_policies(&case.get("policies"))?;
    Ok(Case { id, title, request, policies, expected })
}

fn read_request(case: &Place<'_>) -> Result<Request, CaseMistake> {
    let (request, accounts) = (case.get("request"), case.get("accounts"));
    let action = request.get("action");
    let caller = read_caller(&case.get("principal"), &accounts)?;
    let mut read = Request::new(caller, action.text()?, request.get("resource").text()?)
        .map_err(|error| action.mistake(format!("is no action: {error}")))?;
    let context = request.get("context");
    if let Some(json) = context.json {
        let Json::Object(keys) = json else {
            return Err(context.mistake(format!("must be an object, not {}", json.kind())));
        };
        read.context = keys.iter().try_fold(Context::default(), |mut found, (name, value)| {
            found.set(name, read_value(&Place { path: context.path.name(name), json: Some(value) })?);
            Ok::<_, CaseMistake>(found)
        })?;
    }
    let owner = accounts.get("resource");
    Ok(if owner.json.is_some() { read.of_account(owner.text()?) } else { read })
}

fn read_value(value: &Place<'_>) -> Result<Value, CaseMistake> {
    match value.json {
        Some(Json::List(_)) => {
            let texts = value.items()?.iter().map(|item| item.text().map(str::to_owned)).collect::<Result<_, _>>()?;
            Ok(Value::Many(texts))
        }
        Some(Json::Bool(truth)) => Ok(Value::One(truth.to_string())),
        Some(Json::Number(number)) => Ok(Value::One(number.to_string())),
        _ => Ok(Value::One(value.text()?.to_owned())),
    }
}

fn read_caller(principal: &Place<'_>, accounts: &Place<'_>) -> Result<Caller, CaseMistake> {
    let (kind, arn, account) = (principal.get("type"), principal.get("arn"), accounts.get("principal"));
    let behind = |name| principal.get(name).json.and_then(Json::as_text);
    let read = match kind.text()? {
        "iam-user" => Caller::user(arn.text()?),
        "assumed-role" => match behind("role") {
            Some(role) => Caller::role_session(arn.text()?, role),
            None => Caller::parse(arn.text()?, None),
        },
        "federated-user" => Caller::federated_user(arn.text()?, behind("user").unwrap_or_default()),
        "root" => return Ok(Caller::Root { account: account.text()?.to_owned() }),
        "service" => return Ok(Caller::Service { name: arn.text()?.to_owned() }),
        "anonymous" => return Ok(Caller::Anonymous),
        _ => {
            let known = "`iam-user`, `assumed-role`, `federated-user`, `root`, `service`, `anonymous`";
            return Err(kind.mistake(format!("must be one of {known}")));
        }
    };
    let caller = read.map_err(|error| arn.mistake(format!("does not fit: {error}")))?;
    Ok(if account.json.is_some() { caller.of_account(account.text()?) } else { caller })
}

fn read_policies(policies: &Place<'_>) -> Result<Policies, CaseMistake> {
    let one = |name: &'static str| {
        let place = policies.get(name);
        if place.json.is_some() { place.policy(name.to_owned()).map(Some) } else { Ok(None) }
    };
    let many = |place: &Place<'_>, name: &str| -> Result<Vec<Arc<Policy>>, CaseMistake> {
        place.items()?.iter().enumerate().map(|(index, item)| item.policy(format!("{name}[{index}]"))).collect()
    };
    let levels = |name: &'static str| {
        let place = policies.get(name);
        if place.json.is_none() {
            return Ok(None);
        }
        let levels = place.items()?;
        let level = |(index, level): (usize, &Place<'_>)| many(level, &format!("{name}[{index}]"));
        levels.iter().enumerate().map(level).collect::<Result<Vec<_>, CaseMistake>>().map(Some)
    };
    let identity = policies.get("identity");
    Ok(Policies {
        identity: if identity.json.is_some() { many(&identity, "identity")? } else { Vec::new() },
        resource: one("resource")?,
        boundary: one("boundary")?,
        session: one("session")?.map(|policy| vec![policy]),
        scp: levels("scp")?,
        rcp: levels("rcp")?,
        endpoint: one("endpoint")?,
    })
}
