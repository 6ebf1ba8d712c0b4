//! `--exclude` and `--include`, whose order on the command line counts, and `--no-ignore-file`.

use crate::model::{Filter, PatternError, Rule};
use crate::sync::saved::RuleText;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// What is left out.
#[derive(Debug, Clone)]
pub(super) struct FilterArgs {
    rules: Vec<Rule>,
    no_ignore_file: bool,
}

impl FilterArgs {
    /// The rules as a saved plan tells them.
    pub(super) fn saved(rules: &[RuleText], ignore_files: bool) -> Result<Self, PatternError> {
        let rules = rules.iter().map(|rule| Rule::flag(&rule.pattern, rule.includes)).collect::<Result<_, _>>()?;
        Ok(Self { rules, no_ignore_file: !ignore_files })
    }

    /// The rules as a saved plan keeps them.
    pub(super) fn texts(&self) -> Vec<RuleText> {
        let text = |rule: &Rule| RuleText { pattern: rule.text().to_owned(), includes: rule.includes() };
        self.rules.iter().map(text).collect()
    }

    /// Whether ignore files are read.
    pub(super) const fn reads_ignore_files(&self) -> bool {
        !self.no_ignore_file
    }

    /// The rules as the engine takes them.
    pub(super) fn filter(&self) -> Filter {
        Filter::new(self.rules.clone(), !self.no_ignore_file)
    }
}

/// By hand, because the derived form forgets which of two options came first.
impl Args for FilterArgs {
    fn augment_args(command: Command) -> Command {
        let rule = |name: &'static str| Arg::new(name).long(name).value_name("PATTERN").action(ArgAction::Append);
        command
            .arg(rule("exclude").help(
                "Leave out what matches, with all that is in it; nothing of it is deleted either. As in gitignore: \
                 `*.tmp`, `cache/`, `/raw/**/*.csv`",
            ))
            .arg(rule("include").help("Bring back what an earlier `--exclude` or an ignore file leaves out"))
            .arg(Arg::new("no-ignore-file").long("no-ignore-file").action(ArgAction::SetTrue).help(
                "Do not read `.bucketwrightignore` files of the local tree, which are otherwise read and never sent",
            ))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for FilterArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut rules = Vec::new();
        for (name, includes) in [("exclude", false), ("include", true)] {
            let places = matches.indices_of(name).into_iter().flatten();
            let texts = matches.get_many::<String>(name).into_iter().flatten();
            for (place, text) in places.zip(texts) {
                let rule = Rule::flag(text, includes);
                let rule = rule
                    .map_err(|error| clap::Error::raw(ErrorKind::ValueValidation, format!("`--{name}`: {error}\n")))?;
                rules.push((place, rule));
            }
        }
        rules.sort_by_key(|(place, _)| *place);
        let rules = rules.into_iter().map(|(_, rule)| rule).collect();
        Ok(Self { rules, no_ignore_file: matches.get_flag("no-ignore-file") })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
