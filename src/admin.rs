//! The tracker's side of the admin API: the work and the answer of each request in [`api`].
//!
//! A change of the whitelist is made on the disk first and then in the table, so that an acknowledged change survives a
//! power cut. After a disk failure the whole table is written to a new database, so that a refused change stays
//! refused. While the disk accepts no write, the answer reports the outcome as unknown. A change that has begun must
//! run to its end: the network side limits the time of the client, and never of the disk.

mod allowing;
mod disk;
mod explaining;
mod history;
mod metrics;
mod parameters;
mod pieces;
mod refused;
mod revoking;
mod status;
mod tickets;
mod torrents;
mod users;

use core::pin::Pin;

use serde::{Deserialize, Serialize};

pub use pieces::Pieces;
pub use refused::{Because, Refused};

use crate::api;
use crate::http::Method;
use crate::shared::Shared;
pub use parameters::Parameters;
pub use pieces::listed;
use pieces::{EventStream, Listing, SwarmListing, TorrentListing};
pub use status::status as state;

/// The answer to a request that succeeded.
#[derive(Debug)]
pub enum Answer {
    /// One JSON text.
    Whole(String),
    /// A text of another type.
    Text {
        /// Its type.
        media_type: &'static str,
        /// The text.
        body: String,
    },
    /// An answer to be written in pieces: the whole of it may have several megabytes, or no end.
    Pieces(Pieces),
}

/// A request, as it arrived.
#[derive(Debug)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Its path, not decoded.
    pub path: Vec<u8>,
    /// Its query, not decoded.
    pub query: Vec<u8>,
    /// Its body.
    pub body: Vec<u8>,
}

/// A path with the methods and the parameters that it takes. A `*` matches one segment.
struct Route {
    path: &'static str,
    methods: &'static str,
    parameters: &'static [&'static str],
    /// Whether its requests may be long.
    is_bulk: bool,
}

const fn route(path: &'static str, methods: &'static str) -> Route {
    Route { path, methods, parameters: &[], is_bulk: false }
}

const ROUTES: &[Route] = &[
    route(api::STATUS, "GET"),
    route(api::HISTORY, "GET"),
    route(api::REFUSED, "GET"),
    route(api::METRICS, "GET"),
    #[cfg(feature = "page")]
    route(api::PAGE_CODES, "POST"),
    Route { parameters: &["user", "within", "after", "limit"], ..route(api::WHITELIST, "GET, POST, DELETE") },
    Route { is_bulk: true, ..route(api::IMPORT, "POST") },
    Route { parameters: &["after", "limit"], ..route(api::USERS, "GET") },
    route("/v1/explain/*", "GET"),
    route(api::TICKETS, "GET, POST"),
    route(api::INSPECT, "POST"),
    route(api::KEYS, "GET, POST, DELETE"),
    Route { is_bulk: true, ..route(api::TORRENTS, "GET, POST, DELETE") },
    route(api::RELOAD_TORRENTS, "POST"),
    Route { parameters: &["after", "limit"], ..route(api::SWARMS, "GET") },
    route("/v1/swarms/*", "GET"),
    Route { parameters: &["after"], ..route(api::EVENTS, "GET") },
];

impl Route {
    fn of(path: &[u8]) -> Option<&'static Self> {
        ROUTES.iter().find(|route| match route.path.strip_suffix('*') {
            Some(start) => {
                path.strip_prefix(start.as_bytes()).is_some_and(|rest| !rest.is_empty() && !rest.contains(&b'/'))
            }
            None => route.path.as_bytes() == path,
        })
    }

    /// Return the segment of `path` in the place of the star.
    fn segment<'p>(&self, path: &'p [u8]) -> &'p [u8] {
        path.get(self.path.len() - 1..).unwrap_or_default()
    }
}

/// Return whether requests to this path may be long.
pub fn is_bulk(path: &[u8]) -> bool {
    Route::of(path).is_some_and(|route| route.is_bulk)
}

/// Do the work of a request.
///
/// # Errors
/// When the work was not done. The error has the reason, and after a disk failure also whether a restart may bring the
/// change into effect.
pub async fn answer(shared: &Shared, request: Request) -> Result<Answer, Refused> {
    let Request { method, path, query, body } = request;
    let Some(route) = Route::of(&path) else {
        let paths: Vec<&str> = ROUTES.iter().map(|route| route.path).collect();
        return Err(Refused::new(Because::NotFound, format!("unknown path; the paths are {}", paths.join(", "))));
    };
    let parameters = &Parameters::parse(&query, route.parameters)?;
    match method {
        Method::Get => get(shared, route, &path, parameters).await,
        Method::Post => post(shared, route, body).await,
        Method::Delete => delete(shared, route, &body).await,
        _ => Err(Refused::method(route.path, route.methods)),
    }
}

/// An answer that is being made. It is boxed, so that the state of one request is not that of all.
type Making<'a> = Pin<Box<dyn Future<Output = Result<Answer, Refused>> + 'a>>;

fn get<'a>(shared: &'a Shared, route: &'static Route, path: &'a [u8], parameters: &'a Parameters) -> Making<'a> {
    Box::pin(async move {
        match route.path {
            api::STATUS => whole(&status::status(shared)),
            api::HISTORY => whole(&history::history(shared)),
            api::REFUSED => whole(&history::refused(shared)),
            api::METRICS => Ok(Answer::Text { media_type: metrics::MEDIA_TYPE, body: metrics::metrics(shared) }),
            api::WHITELIST => Ok(Answer::Pieces(Pieces::Whitelist(Listing::of(parameters)?))),
            api::USERS => whole(&users::users(shared, parameters).await?),
            api::TICKETS => whole(&tickets::list(shared)),
            api::KEYS => whole(&tickets::keys(shared)),
            api::TORRENTS => Ok(Answer::Pieces(Pieces::Torrents(TorrentListing::begin(shared).await?))),
            api::SWARMS => Ok(Answer::Pieces(Pieces::Swarms(SwarmListing::of(parameters)?))),
            api::EVENTS => {
                let after = parameters.parsed("after", |text| text.parse().ok())?;
                Ok(Answer::Pieces(Pieces::Events(EventStream::begin(shared, after)?)))
            }
            "/v1/explain/*" => {
                let address = parameters::decode(route.segment(path))?;
                whole(&explaining::explain(shared, &address).await?)
            }
            "/v1/swarms/*" => {
                let info_hash = torrents::info_hash(&parameters::decode(route.segment(path))?)?;
                whole(&pieces::swarms_of(shared, &info_hash))
            }
            _ => Err(Refused::method(route.path, route.methods)),
        }
    })
}

fn post<'a>(shared: &'a Shared, route: &'static Route, body: Vec<u8>) -> Making<'a> {
    Box::pin(async move {
        match route.path {
            api::WHITELIST => whole(&allowing::allow(shared, read(route, &body)?).await?),
            // The tracker's thread must not wait for megabytes of JSON.
            api::IMPORT => {
                let import = shared.store.off_thread(Box::new(move || read(route, &body))).await?;
                whole(&allowing::import(shared, import).await?)
            }
            api::TORRENTS => {
                let torrents = shared.store.off_thread(Box::new(move || read(route, &body))).await?;
                whole(&torrents::add(shared, &torrents).await?)
            }
            api::RELOAD_TORRENTS => whole(&torrents::reload(shared).await?),
            #[cfg(feature = "page")]
            api::PAGE_CODES => whole(&history::page_code(shared)?),
            api::TICKETS => whole(&tickets::sign(shared, &read(route, &body)?).await?),
            api::INSPECT => whole(&tickets::inspect(shared, &read(route, &body)?)),
            api::KEYS => whole(&tickets::new_key(shared, &read(route, &body)?).await?),
            _ => Err(Refused::method(route.path, route.methods)),
        }
    })
}

fn delete<'a>(shared: &'a Shared, route: &'static Route, body: &'a [u8]) -> Making<'a> {
    Box::pin(async move {
        match route.path {
            api::WHITELIST => whole(&revoking::revoke(shared, &read(route, body)?).await?),
            api::TORRENTS => whole(&torrents::remove(shared, &read(route, body)?).await?),
            api::KEYS => whole(&tickets::remove_key(shared, &read(route, body)?).await?),
            _ => Err(Refused::method(route.path, route.methods)),
        }
    })
}

fn whole(answer: &impl Serialize) -> Result<Answer, Refused> {
    serde_json::to_string(answer)
        .map(Answer::Whole)
        .map_err(|error| Refused::new(Because::Failed, format!("cannot write the answer: {error}")))
}

fn read<T: for<'b> Deserialize<'b>>(route: &Route, body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body)
        .map_err(|error| nonsense(format!("the request's body is not valid for {}: {error}", route.path)))
}

fn nonsense(reason: impl Into<String>) -> Refused {
    Refused::new(Because::Nonsense, reason)
}
