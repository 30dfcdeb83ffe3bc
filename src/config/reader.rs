//! Reading a configuration, key by key, with the memory of where each value came from.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::constraints;
use super::error::{Error, found, quote};
use super::keys::{KEYS, Key, SECTIONS, key};
use super::value::Value;
use super::{Config, error};
use crate::suggest::{nearest, slips};

/// Where a key's value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Line(usize),
    Flag,
}

/// A configuration while it is read.
#[derive(Debug)]
pub(super) struct Reading<'f> {
    file: &'f str,
    config: Config,
    /// The keys that have been set; a later origin of the same key wins.
    origins: Vec<(&'static str, Origin)>,
}

/// A key as it stands in the file, its path from the top and its value.
struct Setting<'t> {
    name: String,
    at: usize,
    value: &'t Value<'t>,
}

impl<'f> Reading<'f> {
    /// All defaults; `file` is what error messages call the file.
    pub(super) fn new(file: &'f str) -> Self {
        Self { file, config: Config::default(), origins: Vec::new() }
    }

    /// Take over what a file says. Its mistakes are told in the order of its lines.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Error> {
        let table = DeTable::parse(text).map_err(|error| self.not_toml(text, &error))?;
        let mut settings = flatten(table.get_ref());
        settings.sort_by_key(|setting| setting.at);
        settings.iter().try_for_each(|setting| self.setting(text, setting))
    }

    /// Take over what a flag of the command line says about the key called `name`.
    pub(super) fn flag(&mut self, name: &str, value: DeValue<'_>) -> Result<(), Error> {
        let Some(key) = key(name) else { return Ok(()) };
        let value = Spanned::new(0..0, value);
        let wrong = key.kind.read(&value, &mut self.config).err();
        self.origins.push((key.name, Origin::Flag));
        wrong.map_or(Ok(()), |wrong| Err(Error(format!("{}: {}", key.flag(), mismatch(key, wrong)))))
    }

    /// The configuration, once the keys also fit each other.
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

    /// The error for keys that do not fit each other, at the place where the first of them that was set was set.
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

/// All keys of a file, those of sections by their full names. A table where there is no section stays one setting.
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

/// The number of the line in which the octet at `offset` stands.
fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    before.iter().filter(|octet| **octet == b'\n').count() + 1
}

fn mismatch(key: &Key, wrong: &Value<'_>) -> String {
    format!("found {}, expected {}", found(wrong.get_ref()), key.kind.expected())
}

/// The message for a setting that no key stands for.
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

/// The key that was most likely meant: by its own name, whatever its section, but rather one of the same section.
fn nearest_key(name: &str) -> Option<&'static str> {
    let (section, leaf) = name.split_once('.').unwrap_or(("", name));
    KEYS.iter()
        .filter_map(|key| Some(((slips(leaf, key.leaf())?, key.section() != section), key.name)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The keys of the section that `name` is in.
fn siblings(name: &str) -> String {
    let section = name.split_once('.').map_or("", |(section, _)| section);
    let leaves: Vec<&str> = KEYS.iter().filter(|key| key.section() == section).map(Key::leaf).collect();
    leaves.join(", ")
}
