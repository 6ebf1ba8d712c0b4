//! A reading as output shows it.

use super::message::{Denial, Reading, SaidBy};
use super::words::call_words;
use crate::report::SymptomRecord;

/// How many other refusals are worth a word.
const TOLD: usize = 3;

impl Reading {
    /// The record of what was read.
    pub fn record(&self) -> SymptomRecord {
        let symptom = self.symptom.clone();
        SymptomRecord {
            line: self.line,
            lines: self.lines,
            times: self.times,
            others: self.others.len(),
            layer: symptom.said_by.map(|said_by| match said_by {
                SaidBy::Layer(layer) => layer.word(),
                SaidBy::Trust => "trust",
            }),
            denial: symptom.denial.map(|denial| match denial {
                Denial::Explicit => "explicit",
                Denial::Implicit => "implicit",
            }),
            principal: symptom.principal,
            action: symptom.action,
            operation: symptom.operation,
            resource: symptom.resource,
            policy: symptom.policy,
            region: symptom.region,
            beside: self
                .others
                .iter()
                .take(TOLD)
                .map(|other| format!("{} ({})", call_words(other), other.trouble.code()))
                .collect(),
        }
    }
}
