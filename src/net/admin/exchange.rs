//! One connection to the admin API: receive a request, send its answer, and close the connection.
//!
//! Only the client has time limits. The work of a request always runs to its end, even if the client disconnects: a
//! change that is stopped half-way may or may not be on the disk. Until a request is accepted, the connection counts as
//! a stranger's and may be closed for a new one.

use core::future::Future;
use core::net::SocketAddr;
use core::ops::Range;
use core::time::Duration;
use std::io::{self, ErrorKind};

use serde::Serialize;
use smol::Timer;
use smol::channel::Receiver;
use smol::future::FutureExt as _;
use smol::io::{AsyncReadExt as _, AsyncWriteExt as _};
use smol::lock::SemaphoreGuard;

use super::Connection;
use super::gate::{Gate, Visitor};
use crate::admin::{self, Answer, Because, Pieces, Refused, Request};
use crate::api::PROBLEM_TYPE;
use crate::http::{Body, Head, HeadStatus, Status, parse_head};
#[cfg(feature = "page")]
use crate::page;
use crate::shared::Shared;

/// Size limit in bytes of a request, head and body.
pub const REQUEST_OCTETS: usize = 8192;

/// Size limit in bytes of a long request: 10,000 entries with the longest names. One is received at a time.
const BULK_OCTETS: usize = 3 << 20;

/// Number of bytes of a refused request that are read and discarded, so that the client receives the reason: to close a
/// socket with unread data resets the connection.
const UNREAD_OCTETS: usize = 1 << 20;

/// Time limit for reading and discarding them.
const UNREAD_PATIENCE: Duration = Duration::from_secs(1);

/// The reason why no request was received.
enum Trouble {
    Refused(Refused),
    Lost(io::Error),
}

/// The client of the TCP address, and the gate that it passes.
pub(super) type Guarded<'g> = Option<(&'g Gate, SocketAddr)>;

/// Serve one request on `stream`. If it is guarded, the gate must admit the request. Until the request has arrived, and
/// while a refusal is sent, `give_way` closes the connection.
pub(super) async fn serve(
    mut stream: Connection,
    shared: &Shared,
    guarded: Guarded<'_>,
    give_way: Receiver<()>,
    patience: Duration,
) -> io::Result<()> {
    let given_way = async {
        let _ = give_way.recv().await;
        Err(ErrorKind::ConnectionAborted.into())
    };
    // The request comes first: one that has arrived is answered even if `give_way` is ready too.
    let admitted = admit(&mut stream, shared, guarded, patience).or(given_way).await?;
    drop(give_way);
    let Some(Received { request, visitor, place }) = admitted else { return Ok(()) };
    #[cfg(feature = "page")]
    if let Some((gate, from)) = guarded.filter(|_| page::is_page(&request.path)) {
        let session = if let Visitor::Session(token) = &visitor { Some(token.as_str()) } else { None };
        let visit = page::Visit {
            method: request.method,
            path: &request.path,
            query: &request.query,
            from: from.ip(),
            session,
            is_admitted: visitor != Visitor::Stranger,
            port: gate.port(),
        };
        return send_document(&mut stream, page::answer(shared, &visit).await, patience).await;
    }
    drop(visitor);
    let answer = admin::answer(shared, request).await;
    drop(place);
    send(&mut stream, shared, answer, patience).await?;
    stream.close().await
}

/// A complete request.
struct Received<'s> {
    request: Request,
    visitor: Visitor,
    /// The place of a long request.
    place: Option<SemaphoreGuard<'s>>,
}

/// Read a request; `None` if it was refused.
async fn admit<'s>(
    stream: &mut Connection,
    shared: &'s Shared,
    guarded: Guarded<'_>,
    patience: Duration,
) -> io::Result<Option<Received<'s>>> {
    let mut buffer = vec![0; REQUEST_OCTETS];
    match receive(stream, &mut buffer, shared, guarded, patience).await {
        Ok(received) => Ok(Some(received)),
        Err(Trouble::Refused(refused)) => {
            send(stream, shared, Err(refused), patience).await?;
            stream.close().await?;
            within(UNREAD_PATIENCE, read_the_rest(stream, &mut buffer)).await?;
            Ok(None)
        }
        Err(Trouble::Lost(error)) => Err(error),
    }
}

/// Do `work`, with `patience` as its time limit.
async fn within<T>(patience: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let too_late = async {
        Timer::after(patience).await;
        Err(ErrorKind::TimedOut.into())
    };
    work.or(too_late).await
}

/// Read a request to its end. `buffer` grows if the request is long and may be.
async fn receive<'s>(
    stream: &mut Connection,
    buffer: &mut Vec<u8>,
    shared: &'s Shared,
    guarded: Guarded<'_>,
    patience: Duration,
) -> Result<Received<'s>, Trouble> {
    let (mut received, mut place) = (0, None);
    let read_all = async {
        loop {
            match progress(buffer.get(..received).unwrap_or_default(), shared, guarded)? {
                Progress::Whole(request, visitor, body) => return Ok((request, visitor, body)),
                Progress::Lacks(octets) if octets > buffer.len() => {
                    place = Some(shared.long_request.try_acquire().ok_or_else(busy)?);
                    buffer.resize(octets, 0);
                }
                Progress::Lacks(_) => {}
            }
            let octets = stream.read(buffer.get_mut(received..).unwrap_or_default()).await.map_err(Trouble::Lost)?;
            if octets == 0 {
                return Err(cut(received));
            }
            received += octets;
        }
    };
    let too_late = async {
        Timer::after(patience).await;
        let reason = format!("the request did not arrive within {patience:?}; send it at once");
        Err(Trouble::Refused(Refused::new(Because::Late, reason)))
    };
    let (mut request, visitor, body) = read_all.or(too_late).await?;
    // In place: a long body is not copied.
    request.body = core::mem::take(buffer);
    request.body.truncate(body.end);
    request.body.drain(..body.start);
    Ok(Received { request, visitor, place })
}

fn busy() -> Trouble {
    Trouble::Refused(Refused::new(Because::Busy, "another long request is being received; try again in a moment"))
}

/// Return the error for a client that closes its direction before the end of the request.
fn cut(received: usize) -> Trouble {
    match received {
        // A probe that only checks whether the tracker listens.
        0 => Trouble::Lost(ErrorKind::UnexpectedEof.into()),
        _ => Trouble::Refused(Refused::new(Because::Nonsense, "the request ends too early; send all of it")),
    }
}

/// The part of a request that has arrived.
enum Progress {
    /// All of it: the request without its body, its client, and the place of the body.
    Whole(Request, Visitor, Range<usize>),
    /// A part. The whole request has this number of bytes, as far as it is known.
    Lacks(usize),
}

/// Examine the bytes that have arrived; the error is the reason to refuse the request.
fn progress(received: &[u8], shared: &Shared, guarded: Guarded<'_>) -> Result<Progress, Trouble> {
    let refuse = |because, reason: &str| Err(Trouble::Refused(Refused::new(because, reason)));
    let head = match parse_head(received) {
        HeadStatus::Complete(head) => head,
        HeadStatus::Incomplete if received.len() < REQUEST_OCTETS => return Ok(Progress::Lacks(0)),
        HeadStatus::Malformed => return refuse(Because::Nonsense, "this is not an HTTP/1.1 request; send one"),
        HeadStatus::Incomplete | HeadStatus::TooManyHeaders => {
            return refuse(Because::LongHead, "the request's head is too long; send fewer or shorter headers");
        }
    };
    // The gate comes before all else, so that a client that it refuses learns nothing more.
    let visitor = match guarded {
        Some((gate, from)) => gate.admit(shared, from, &head).map_err(Trouble::Refused)?,
        None => Visitor::Program,
    };
    let most = if admin::is_bulk(head.path) { BULK_OCTETS } else { REQUEST_OCTETS };
    let octets = match body_octets(&head) {
        None => {
            return refuse(Because::NoLength, "the length of the request's body is missing; send it as Content-Length");
        }
        Some(octets) if octets > (most - head.octets.min(most)) as u64 => {
            let reason = format!("the request's body is too long; head and body together may have {most} bytes");
            return refuse(Because::LongBody, &reason);
        }
        Some(octets) => octets as usize,
    };
    let body = head.octets..head.octets + octets;
    if received.len() < body.end {
        return Ok(Progress::Lacks(body.end));
    }
    let (path, query) = (head.path.to_vec(), head.query.to_vec());
    Ok(Progress::Whole(Request { method: head.method, path, query, body: Vec::new() }, visitor, body))
}

fn body_octets(head: &Head<'_>) -> Option<u64> {
    match head.body {
        Body::Absent => Some(0),
        Body::Octets(octets) => Some(octets),
        Body::Encoded => None,
    }
}

async fn send(
    stream: &mut Connection,
    shared: &Shared,
    answer: Result<Answer, Refused>,
    patience: Duration,
) -> io::Result<()> {
    match answer {
        Ok(Answer::Whole(body)) => send_text(stream, "application/json", &body, patience).await,
        Ok(Answer::Text { media_type, body }) => send_text(stream, media_type, &body, patience).await,
        Ok(Answer::Pieces(pieces)) => send_pieces(stream, shared, pieces, patience).await,
        Err(refused) => within(patience, stream.write_all(refusal(refused)?.as_bytes())).await,
    }
}

async fn send_text(stream: &mut Connection, media_type: &str, body: &str, patience: Duration) -> io::Result<()> {
    within(patience, stream.write_all(response(Status::Ok, None, media_type, body).as_bytes())).await
}

/// Send an answer to a browser, and close the connection.
#[cfg(feature = "page")]
async fn send_document(
    stream: &mut Connection,
    answer: Result<page::Document, Refused>,
    patience: Duration,
) -> io::Result<()> {
    match answer {
        Ok(page::Document { status, headers, body }) => {
            let (line, octets) = (status.line(), body.len());
            let head = format!(
                "{line}{headers}Cache-Control: no-store\r\nContent-Length: {octets}\r\nConnection: close\r\n\r\n"
            );
            within(patience, stream.write_all(head.as_bytes())).await?;
            within(patience, stream.write_all(&body)).await?;
        }
        Err(refused) => within(patience, stream.write_all(refusal(refused)?.as_bytes())).await?,
    }
    stream.close().await
}

fn refusal(refused: Refused) -> io::Result<String> {
    let (status, header) = (refused.because.status(), refused.because.header());
    Ok(response(status, header, PROBLEM_TYPE, &json(&refused.into_body())?))
}

fn json(body: &impl Serialize) -> io::Result<String> {
    Ok(serde_json::to_string(body)?)
}

fn response(status: Status, header: Option<(&str, &str)>, media_type: &str, body: &str) -> String {
    let (line, octets) = (status.line(), body.len());
    let header = header.map(|(name, value)| format!("{name}: {value}\r\n")).unwrap_or_default();
    format!(
        "{line}{header}Content-Type: {media_type}\r\nCache-Control: no-store\r\nContent-Length: {octets}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// Send a long answer. Its length is unknown at the start, so the end of the connection is the end of the body. The
/// client of a list knows from the JSON whether it is complete.
async fn send_pieces(
    stream: &mut Connection,
    shared: &Shared,
    mut pieces: Pieces,
    patience: Duration,
) -> io::Result<()> {
    let (line, media_type) = (Status::Ok.line(), pieces.media_type());
    let head = format!("{line}Content-Type: {media_type}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n");
    within(patience, stream.write_all(head.as_bytes())).await?;
    let mut piece = Vec::new();
    while pieces.next(shared, &mut piece).await? {
        within(patience, stream.write_all(&piece)).await?;
        // Even with a client that reads at full speed, peers get a turn after each piece.
        shared.turns.next().await;
    }
    Ok(())
}

async fn read_the_rest(stream: &mut Connection, buffer: &mut [u8]) -> io::Result<()> {
    let mut octets = 0;
    while octets < UNREAD_OCTETS {
        match stream.read(buffer).await? {
            0 => break,
            read => octets += read,
        }
    }
    Ok(())
}
