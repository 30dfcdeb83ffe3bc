//! The fields of an answer. The commands read the tracker's JSON by the names of its fields, so that a field that an older
//! tracker lacks is no error, and text is made safe for a terminal in one place.

use serde_json::Value;

use crate::access::controls;
use crate::exit::{self, Failure};

/// A JSON object of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'j>(&'j Value);

impl<'j> Fields<'j> {
    /// Read an answer.
    ///
    /// # Errors
    /// When it is no object.
    pub(super) fn of(answer: &'j Value) -> Result<Self, Failure> {
        if answer.is_object() { Ok(Self(answer)) } else { Err(unreadable("it is no JSON object")) }
    }

    /// Return a text without control characters, which could move a terminal's cursor; empty if it is missing.
    pub(super) fn text(self, name: &str) -> String {
        self.some_text(name).unwrap_or_default()
    }

    /// Return a text without control characters, if there is one.
    pub(super) fn some_text(self, name: &str) -> Option<String> {
        self.0.get(name)?.as_str().map(printable)
    }

    /// Return a number; 0 if it is missing.
    pub(super) fn number(self, name: &str) -> u64 {
        self.some_number(name).unwrap_or_default()
    }

    /// Return a number, if there is one.
    pub(super) fn some_number(self, name: &str) -> Option<u64> {
        self.0.get(name)?.as_u64()
    }

    /// Return whether a field is true.
    pub(super) fn is(self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// Return an object in this one, if there is one.
    pub(super) fn some(self, name: &str) -> Option<Self> {
        self.0.get(name).filter(|value| value.is_object()).map(Self)
    }

    /// Return an object in this one; without fields if it is missing.
    pub(super) fn within(self, name: &str) -> Self {
        self.some(name).unwrap_or(Self(&Value::Null))
    }

    /// Return the objects of a list.
    ///
    /// # Errors
    /// When the list is missing.
    pub(super) fn list(self, name: &str) -> Result<impl Iterator<Item = Self>, Failure> {
        let list = self.0.get(name).and_then(Value::as_array);
        Ok(list.ok_or_else(|| unreadable(&format!("it has no `{name}`")))?.iter().map(Self))
    }

    /// Return the texts of a list; none if it is missing.
    pub(super) fn texts(self, name: &str) -> Vec<String> {
        let list = self.0.get(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(printable).collect()
    }

    /// Return the numbers of this object with their names.
    pub(super) fn numbers(self) -> impl Iterator<Item = (String, u64)> {
        let fields = self.0.as_object().into_iter().flatten();
        fields.filter_map(|(name, value)| Some((printable(name), value.as_u64()?)))
    }
}

/// Return the failure for an answer of another form.
pub(super) fn unreadable(why: &str) -> Failure {
    let message =
        format!("cannot read the tracker's answer: {why}; check that it has the same version as this command");
    Failure::new(exit::IOERR, message)
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if controls(c) { '\u{fffd}' } else { c }).collect()
}
