//! Reader of a configuration, key by key. It records the origin of each value, for error messages.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::constraints;
use super::error::{Error, found, quote};
use super::keys::{KEYS, Key, SECTIONS, key};
use super::value::Value;
use super::{Config, error};
use crate::suggest::{nearest, slips};

/// Origin of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Line(usize),
    Flag,
}

/// Configuration that is being read.
#[derive(Debug)]
pub(super) struct Reading<'f> {
    file: &'f str,
    config: Config,
    /// Keys that are set, with their origins. The last origin of a key counts.
    origins: Vec<(&'static str, Origin)>,
}

/// Key in the file: its full name, its position and its value.
struct Setting<'t> {
    name: String,
    at: usize,
    value: &'t Value<'t>,
}

impl<'f> Reading<'f> {
    /// Start with all defaults. `file` is the name of the file in error messages.
    pub(super) fn new(file: &'f str) -> Self {
        Self { file, config: Config::default(), origins: Vec::new() }
    }

    /// Apply the text of a file. The first error by line is returned.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Error> {
        let table = DeTable::parse(text).map_err(|error| self.not_toml(text, &error))?;
        let mut settings = flatten(table.get_ref());
        settings.sort_by_key(|setting| setting.at);
        settings.iter().try_for_each(|setting| self.setting(text, setting))
    }

    /// Apply the value of a command-line flag to the key `name`.
    pub(super) fn flag(&mut self, name: &str, value: DeValue<'_>) -> Result<(), Error> {
        let Some(key) = key(name) else { return Ok(()) };
        let value = Spanned::new(0..0, value);
        let wrong = key.kind.read(&value, &mut self.config).err();
        self.origins.push((key.name, Origin::Flag));
        wrong.map_or(Ok(()), |wrong| Err(Error(format!("{}: {}", key.flag(), mismatch(key, wrong)))))
    }

    /// Return the configuration, after checking the constraints between keys.
    pub(super) fn finish(self) -> Result<Config, Error> {
        match constraints::disagreement(&self.config) {
            None => Ok(self.config),
            Some(disagreement) => Err(self.blame(&disagreement)),
        }
    }

    fn setting(&mut self, text: &str, setting: &Setting<'_>) -> Result<(), Error> {
        let line = line_of(text, setting.at);
        let Some(key) = key(&setting.name) else {
            return Err(self.at(line, &unknown(setting)));
        };
        self.origins.push((key.name, Origin::Line(line)));
        match key.kind.read(setting.value, &mut self.config) {
            Ok(()) => Ok(()),
            Err(wrong) => {
                let line = line_of(text, wrong.span().start);
                Err(self.at(line, &format!("{}: {}", key.name, mismatch(key, wrong))))
            }
        }
    }

    fn not_toml(&self, text: &str, error: &toml::de::Error) -> Error {
        let line = line_of(text, error.span().map_or(text.len(), |span| span.start));
        let message = error.message().lines().collect::<Vec<_>>().join("; ");
        self.at(line, &format!("not valid TOML: {message}"))
    }

    fn at(&self, line: usize, message: &str) -> Error {
        Error(format!("{}:{line}: {message}", self.file))
    }

    /// Return the error for a conflict. Its position is that of the first of the two keys that is set at all.
    fn blame(&self, disagreement: &constraints::Disagreement) -> Error {
        let origin_of = |name| self.origins.iter().rfind(|(set, _)| *set == name);
        let [first, _] = disagreement.keys;
        let message = format!("{first}: {}", disagreement.message);
        let set = disagreement.keys.into_iter().find_map(origin_of);
        match set.map(|(name, origin)| (key(name), origin)) {
            Some((_, Origin::Line(line))) => self.at(*line, &message),
            Some((Some(key), Origin::Flag)) if key.name == first => {
                Error(format!("{}: {}", key.flag(), disagreement.message))
            }
            Some((Some(key), Origin::Flag)) => Error(format!("{}: {message}", key.flag())),
            _ => Error(message),
        }
    }
}

/// Return all keys of a file by their full names. A table that is not a known section becomes one setting.
fn flatten<'t>(table: &'t DeTable<'t>) -> Vec<Setting<'t>> {
    let mut settings = Vec::new();
    for (name, value) in table {
        let section = name.get_ref().as_ref();
        let at = name.span().start;
        match value.get_ref() {
            DeValue::Table(inner) if is_section(section) => settings.extend(inner.iter().map(|(leaf, value)| {
                let name = format!("{section}.{}", leaf.get_ref());
                Setting { name, at: leaf.span().start, value }
            })),
            _ => settings.push(Setting { name: section.into(), at, value }),
        }
    }
    settings
}

fn is_section(name: &str) -> bool {
    SECTIONS.iter().any(|(section, _)| *section == name)
}

/// Return the number of the line that contains the byte at `offset`.
fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    before.iter().filter(|octet| **octet == b'\n').count() + 1
}

fn mismatch(key: &Key, wrong: &Value<'_>) -> String {
    format!("found {}, expected {}", found(wrong.get_ref()), key.kind.expected())
}

/// Return the error message for an unknown key or section.
fn unknown(setting: &Setting<'_>) -> String {
    let name = setting.name.as_str();
    if is_section(name) {
        let found = error::found(setting.value.get_ref());
        return format!("{name}: found {found}, expected a section [{name}]");
    }
    if setting.value.get_ref().is_table() && !name.contains('.') {
        let known: Vec<&str> = SECTIONS.iter().map(|(name, _)| *name).collect();
        let hint = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean [{near}]?"),
            None => format!("the sections are {}", known.join(", ")),
        };
        return format!("unknown section {}; {hint}", quote(name));
    }
    let hint = match nearest_key(name) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("the keys here are {}", siblings(name)),
    };
    format!("unknown key {}; {hint}", quote(name))
}

/// Return the key that was most likely meant. It compares leaf names in all sections; the same section wins a tie.
fn nearest_key(name: &str) -> Option<&'static str> {
    let (section, leaf) = name.split_once('.').unwrap_or(("", name));
    KEYS.iter()
        .filter_map(|key| Some(((slips(leaf, key.leaf())?, key.section() != section), key.name)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// List the keys in the section of `name`.
fn siblings(name: &str) -> String {
    let section = name.split_once('.').map_or("", |(section, _)| section);
    let leaves: Vec<&str> = KEYS.iter().filter(|key| key.section() == section).map(Key::leaf).collect();
    leaves.join(", ")
}
