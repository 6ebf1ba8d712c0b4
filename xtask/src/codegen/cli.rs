//! The command reference: a clap command tree as one Markdown page.

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Command};
use std::fmt::Write as _;

/// The page for a whole program.
pub(crate) fn page(mut program: Command) -> String {
    program.build();
    let name = program.get_name().to_owned();
    let mut page = format!("# {name}: commands\n\n{}\n", super::NOTICE);
    paragraph(&mut page, about(&program));
    after(&mut page, &program);
    let verbs: Vec<&Command> = visible(&program).collect();
    page.push_str("\n| verb | does |\n|---|---|\n");
    for verb in &verbs {
        let verb_name = verb.get_name();
        let about = verb.get_about().map(one_line).unwrap_or_default();
        row(&mut page, &format!("[`{verb_name}`](#{name}-{verb_name})"), &about);
    }
    page.push_str("\n## Options of every verb\n\n");
    arguments(&mut page, program.get_arguments().filter(|arg| !is_builtin(arg)));
    for verb in verbs {
        section(&mut page, verb, &format!("{name} {}", verb.get_name()), 2);
    }
    page
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help")
}

/// One verb and, below it, its own verbs.
fn section(page: &mut String, verb: &Command, path: &str, depth: usize) {
    let _ = write!(page, "\n{} {path}\n", "#".repeat(depth));
    paragraph(page, about(verb));
    let usage = verb.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").split_whitespace().collect::<Vec<_>>().join(" ");
    let _ = write!(page, "\n```text\n{usage}\n```\n\n");
    arguments(page, verb.get_arguments().filter(|arg| !arg.is_global_set() && !is_builtin(arg)));
    after(page, verb);
    for inner in visible(verb) {
        section(page, inner, &format!("{path} {}", inner.get_name()), depth + 1);
    }
}

fn about(command: &Command) -> Option<String> {
    command.get_long_about().or(command.get_about()).map(StyledStr::to_string)
}

/// What stands below a verb's help, as it is laid out there.
fn after(page: &mut String, command: &Command) {
    if let Some(text) = command.get_after_long_help().or(command.get_after_help()) {
        let _ = write!(page, "\n```text\n{}\n```\n", text.to_string().trim());
    }
}

fn paragraph(page: &mut String, text: Option<String>) {
    if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
        let _ = write!(page, "\n{}\n", text.trim());
    }
}

fn arguments<'a>(page: &mut String, arguments: impl Iterator<Item = &'a Arg>) {
    let mut arguments = arguments.filter(|arg| !arg.is_hide_set()).peekable();
    if arguments.peek().is_none() {
        return;
    }
    page.push_str("| argument | meaning |\n|---|---|\n");
    for arg in arguments {
        row(page, &format!("`{}`", spelling(arg)), &meaning(arg));
    }
}

fn row(page: &mut String, left: &str, right: &str) {
    let [left, right] = [left, right].map(|cell| cell.replace('|', "\\|"));
    let _ = writeln!(page, "| {left} | {right} |");
}

/// `-o, --output <FORMAT>`, `[STARTER]`, `<LAYOUT>...`.
fn spelling(arg: &Arg) -> String {
    let values = match arg.get_value_names() {
        Some(names) => names.iter().map(|name| format!("<{name}>")).collect::<Vec<_>>().join(" "),
        None => format!("<{}>", arg.get_id()),
    };
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    if arg.is_positional() {
        let many = if matches!(arg.get_action(), ArgAction::Append) { "..." } else { "" };
        let value = if arg.is_required_set() { values } else { values.replace('<', "[").replace('>', "]") };
        return format!("{value}{many}");
    }
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    let names = short.into_iter().chain(long).collect::<Vec<_>>().join(", ");
    let equals = if arg.is_require_equals_set() { "=" } else { " " };
    match arg.get_num_args() {
        _ if !takes_value => names,
        Some(count) if count.min_values() == 0 => format!("{names}[{}{values}]", equals.trim()),
        _ => format!("{names}{equals}{values}"),
    }
}

/// The help, then what it does not say: values, default, environment.
fn meaning(arg: &Arg) -> String {
    let mut parts: Vec<String> = arg.get_long_help().or(arg.get_help()).map(one_line).into_iter().collect();
    let is_flag = !matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let values = arg.get_possible_values();
    if !is_flag && !arg.is_hide_possible_values_set() && !values.is_empty() {
        let names: Vec<String> = values.iter().map(|value| format!("`{}`", value.get_name())).collect();
        parts.push(format!("One of {}.", names.join(", ")));
    }
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if !is_flag && !arg.is_hide_default_value_set() && !defaults.is_empty() {
        parts.push(format!("Default: `{}`.", defaults.join(" ")));
    }
    if let Some(variable) = arg.get_env().filter(|_| !arg.is_hide_env_set()) {
        parts.push(format!("Environment: `{}`.", variable.to_string_lossy()));
    }
    parts.iter_mut().filter(|part| !part.ends_with(['.', '?', ')'])).for_each(|part| part.push('.'));
    parts.join(" ")
}

fn one_line(text: &StyledStr) -> String {
    text.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `--help` and `--version`, which clap adds everywhere.
fn is_builtin(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Help | ArgAction::HelpLong | ArgAction::HelpShort | ArgAction::Version)
}

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgAction, Command};

    fn program() -> Command {
        let quiet = Arg::new("quiet").short('q').long("quiet").global(true).action(ArgAction::SetTrue).help("Say less");
        let local = Arg::new("local").long("local").value_name("DIR").num_args(0..=1).require_equals(true);
        let kind = Arg::new("kind").long("kind").value_parser(["a", "b"]).default_value("a").help("Which | one");
        let verb = Command::new("list")
            .about("Lists\nit")
            .after_help("Try\n  it")
            .arg(Arg::new("PATH").required(true))
            .arg(kind);
        let group = Command::new("group").about("Holds verbs").subcommand_required(true).subcommand(verb);
        let secret = Command::new("secret").hide(true);
        Command::new("tool").about("A tool.").arg(quiet).arg(local.help("Here")).subcommands([group, secret])
    }

    #[test]
    fn a_command_tree_becomes_a_page() {
        let expected = format!(
            "# tool: commands\n\n{}\n\nA tool.\n\n\
             | verb | does |\n|---|---|\n| [`group`](#tool-group) | Holds verbs |\n\n\
             ## Options of every verb\n\n| argument | meaning |\n|---|---|\n\
             | `-q, --quiet` | Say less. |\n| `--local[=<DIR>]` | Here. |\n\n\
             ## tool group\n\nHolds verbs\n\n```text\ntool group [OPTIONS] <COMMAND>\n```\n\n\n\
             ### tool group list\n\nLists\nit\n\n```text\ntool group list [OPTIONS] <PATH>\n```\n\n\
             | argument | meaning |\n|---|---|\n| `<PATH>` |  |\n\
             | `--kind <kind>` | Which \\| one. One of `a`, `b`. Default: `a`. |\n\n```text\nTry\n  it\n```\n",
            super::super::NOTICE
        );
        assert_eq!(super::page(program()), expected);
    }
}
