//! Policy documents as they are written: order and spelling kept, every pattern compiled once.
//!
//! Reading is lenient. A document with mistakes that IAM would refuse is still read and evaluated: what cannot match
//! does not match. Its mistakes of form stand in [`Document::defects`], the unwise rest is for a linter to find.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>

use super::arn_pattern::ArnPattern;
use super::condition::ConditionBlock;
use super::context::Context;
use super::mistake::DocumentMistake;
use super::path::DocumentPath;
use super::pattern::{Pattern, Syntax};
use super::principal::Principals;

/// The version of the policy language that has variables.
pub const CURRENT_VERSION: &str = "2012-10-17";

/// A policy document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub(super) version: Option<String>,
    pub(super) id: Option<String>,
    pub(super) statements: Option<OneOrMany<Statement>>,
    pub(super) defects: Vec<DocumentMistake>,
}

/// A list that may be written as its only item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOrMany<T> {
    /// The items in their order.
    pub items: Vec<T>,
    /// True if it was written as a list.
    pub listed: bool,
}

impl<T> OneOrMany<T> {
    /// Where an item stands, if the whole stands at `path`.
    pub fn item_path(&self, path: &DocumentPath, index: usize) -> DocumentPath {
        if self.listed { path.index(index) } else { path.clone() }
    }
}

/// A statement. An element that is not written is none; what could not be read is in the document's defects.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// Where it stands in the document.
    pub path: DocumentPath,
    /// `Sid`
    pub sid: Option<String>,
    /// `Effect` as written.
    pub effect_text: Option<String>,
    /// `Effect`, if it is one of the two.
    pub effect: Option<Effect>,
    /// `Principal`
    pub principal: Option<Principals>,
    /// `NotPrincipal`
    pub not_principal: Option<Principals>,
    /// `Action`
    pub action: Option<OneOrMany<ActionPattern>>,
    /// `NotAction`
    pub not_action: Option<OneOrMany<ActionPattern>>,
    /// `Resource`
    pub resource: Option<OneOrMany<ArnPattern>>,
    /// `NotResource`
    pub not_resource: Option<OneOrMany<ArnPattern>>,
    /// `Condition`, in its order.
    pub condition: Option<Vec<ConditionBlock>>,
    /// Why it can have no effect at all.
    pub(super) flaw: Option<Flaw>,
}

/// What a statement does when it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Grants, or lets through.
    Allow,
    /// Refuses, whatever else allows.
    Deny,
}

/// Why a statement can have no effect wherever it stands: IAM would refuse it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// `Effect` is missing, or neither `Allow` nor `Deny`.
    NoEffect,
    /// Neither `Action` nor `NotAction`, or a list without entries.
    NoAction,
    /// Neither `Resource` nor `NotResource`, or a list without entries.
    NoResource,
    /// A list of principals without entries.
    NoPrincipal,
    /// An element and its `Not` form side by side.
    BothForms,
    /// An element that the language does not know, or of another JSON type.
    BadElement,
}

/// An entry of `Action` or `NotAction`. Case means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionPattern {
    /// As written.
    pub text: String,
    form: ActionForm,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum ActionForm {
    Everything,
    /// Service and name, in lower case.
    Named(Pattern, Pattern),
    /// Without a service.
    Nothing,
}

impl ActionPattern {
    pub(super) fn new(text: &str) -> Self {
        let syntax = Syntax { wildcards: true, variables: false };
        let lower = text.to_ascii_lowercase();
        let form = match lower.split_once(':') {
            Some((service, name)) => ActionForm::Named(Pattern::parse(service, syntax), Pattern::parse(name, syntax)),
            None if Pattern::parse(&lower, syntax).is_everything() => ActionForm::Everything,
            None => ActionForm::Nothing,
        };
        Self { text: text.to_owned(), form }
    }

    /// True if this is `*`.
    pub(super) const fn is_everything(&self) -> bool {
        matches!(self.form, ActionForm::Everything)
    }

    /// True only if this pattern means every action that `narrow` means.
    pub(super) fn covers(&self, narrow: &Self) -> bool {
        match (&self.form, &narrow.form) {
            (ActionForm::Everything, _) | (_, ActionForm::Nothing) => true,
            (ActionForm::Named(service, name), ActionForm::Named(narrow_service, narrow_name)) => {
                service.covers(narrow_service) && name.covers(narrow_name)
            }
            _ => false,
        }
    }

    /// True only if no action is meant by both.
    pub(super) fn is_disjoint(&self, other: &Self) -> bool {
        match (&self.form, &other.form) {
            (ActionForm::Nothing, _) | (_, ActionForm::Nothing) => true,
            (ActionForm::Named(service, name), ActionForm::Named(other_service, other_name)) => {
                service.is_disjoint(other_service) || name.is_disjoint(other_name)
            }
            _ => false,
        }
    }

    /// True if it means the action `service:name`, both in lower case.
    pub(super) fn matches(&self, service: &str, name: &str) -> bool {
        match &self.form {
            ActionForm::Everything => true,
            ActionForm::Nothing => false,
            ActionForm::Named(services, names) => {
                names.matches(name, Context::EMPTY) && services.matches(service, Context::EMPTY)
            }
        }
    }
}

impl Document {
    /// `Version` as written.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// True if `${...}` stands for a value in this document.
    pub fn has_variables(&self) -> bool {
        self.version() == Some(CURRENT_VERSION)
    }

    /// `Id` as written.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The statements in their order.
    pub fn statements(&self) -> &[Statement] {
        self.statements.as_ref().map_or(&[], |statements| &statements.items)
    }

    /// True if there is a `Statement` at all.
    pub const fn has_statement(&self) -> bool {
        self.statements.is_some()
    }

    /// What IAM would refuse about the document's form, in the order of the text.
    pub fn defects(&self) -> &[DocumentMistake] {
        &self.defects
    }
}

impl Statement {
    /// Why it can have no effect wherever it stands.
    pub const fn flaw(&self) -> Option<Flaw> {
        self.flaw
    }
}
