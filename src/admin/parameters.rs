//! The parameters in the query of a request.

use core::str::FromStr;

use super::nonsense;
use super::refused::Refused;
use crate::config::quote;
use crate::http::query;

/// Maximum number of items on a page.
const MOST_A_PAGE: usize = 10_000;

/// The parameters of a request, decoded.
#[derive(Debug, Default)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Parse a query that may have the parameters `known`, each once.
    ///
    /// # Errors
    /// When a parameter is unknown or repeated, or its value is not UTF-8.
    pub fn parse(text: &[u8], known: &[&str]) -> Result<Self, Refused> {
        let mut parameters = Vec::<(String, String)>::new();
        for part in text.split(|octet| *octet == b'&').filter(|part| !part.is_empty()) {
            let mut halves = part.splitn(2, |octet| *octet == b'=');
            let mut decoded = || decode(halves.next().unwrap_or_default());
            let (name, value) = (decoded()?, decoded()?);
            if !known.contains(&name.as_str()) {
                let these = if known.is_empty() { "none".into() } else { known.join(", ") };
                return Err(nonsense(format!("unknown parameter {}; the parameters here are: {these}", quote(&name))));
            }
            if parameters.iter().any(|(other, _)| *other == name) {
                return Err(nonsense(format!("the parameter `{name}` is given twice")));
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    /// Return the value of a parameter.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Return the value of a parameter, parsed by `parse`.
    pub(super) fn parsed<T>(&self, name: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Refused> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let wrong = || nonsense(format!("{} is no value of the parameter `{name}`", quote(text)));
        parse(text).map(Some).ok_or_else(wrong)
    }

    /// Return the maximum number of items on the page, if it is limited.
    pub(super) fn limit(&self) -> Result<Option<usize>, Refused> {
        let number = |text: &str| usize::from_str(text).ok().filter(|limit| (1..=MOST_A_PAGE).contains(limit));
        self.parsed("limit", number)
    }
}

/// Decode percent signs.
pub(super) fn decode(text: &[u8]) -> Result<String, Refused> {
    let octets: Option<Vec<u8>> = query::decode(text).ok().map(Iterator::collect);
    let text = octets.and_then(|octets| String::from_utf8(octets).ok());
    text.ok_or_else(|| nonsense("the request's path or query has a bad percent sign, or is not UTF-8"))
}
