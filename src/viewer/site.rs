//! What is answered to which request.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::watch;

use super::control::Control;
use super::page::{Page, REPORT_POLICY};
use super::published::Published;
use crate::live::Live;

/// Longest text of a mark in bytes.
const LONGEST_BODY: usize = 1000;

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const EVENTS: &str = "text/event-stream";

pub(super) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Everything behind the address.
pub(super) struct Site {
    token: String,
    page: Page,
    live: Arc<Mutex<Live>>,
    control: Option<Arc<dyn Control>>,
    pub(super) frames: watch::Sender<Arc<Published>>,
    report: Mutex<Option<Bytes>>,
    /// How often the report was sent.
    pub(super) reports: AtomicU64,
}

impl Site {
    pub(super) fn new(
        token: String,
        live: Arc<Mutex<Live>>,
        control: Option<Arc<dyn Control>>,
    ) -> Self {
        let page = Page::live(control.as_deref());
        let (frames, _) = watch::channel(Arc::default());
        let (report, reports) = (Mutex::new(None), AtomicU64::new(0));
        Self { token, page, live, control, frames, report, reports }
    }

    pub(super) fn show_report(&self, html: Vec<u8>) {
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = Some(html.into());
    }

    /// Sends the state of the run as it is now to everybody who looks. Costs nothing where nobody
    /// does.
    pub(super) fn publish(&self) {
        if self.frames.receiver_count() > 0 {
            self.renew();
        }
    }

    fn renew(&self) {
        let now = self.live.lock().unwrap_or_else(PoisonError::into_inner).now();
        // The last frame is borrowed only for as long as the next one is made of it.
        let next = self.frames.borrow().next(now);
        if let Some(next) = next {
            self.frames.send_replace(Arc::new(next));
        }
    }

    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path().trim_start_matches('/').to_owned();
        let (token, name) = match path.split_once('/') {
            Some((token, name)) => (token, Some(name)),
            None => (path.as_str(), None),
        };
        if !is_same(token, &self.token) {
            return text(
                StatusCode::NOT_FOUND,
                "nothing here: open the whole address that kneepoint printed, with its token",
            );
        }
        match (request.method().clone(), name) {
            (Method::GET | Method::HEAD, None) => {
                let mut answer = text(StatusCode::PERMANENT_REDIRECT, "");
                if let Ok(to) = HeaderValue::from_str(&format!("/{token}/")) {
                    answer.headers_mut().insert(header::LOCATION, to);
                }
                answer
            }
            (Method::GET | Method::HEAD, Some("")) => self.front(),
            (Method::GET, Some("events")) => self.events(),
            (Method::GET, Some("now.json")) => self.json(|live| serde_json::to_vec(&live.now())),
            (Method::GET, Some("past.json")) => self.json(|live| serde_json::to_vec(&live.past())),
            (Method::POST, Some(name @ ("end" | "pause" | "resume" | "mark"))) => {
                self.obey(name, request).await
            }
            (Method::GET | Method::HEAD, _) => text(StatusCode::NOT_FOUND, "there is no such page"),
            _ => text(StatusCode::METHOD_NOT_ALLOWED, "this address can be read"),
        }
    }

    /// The live page, or the report once there is one.
    fn front(&self) -> Answer {
        let report = self.report.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match report {
            Some(html) => {
                self.reports.fetch_add(1, Ordering::Relaxed);
                whole(StatusCode::OK, HTML, REPORT_POLICY, html)
            }
            None => whole(StatusCode::OK, HTML, &self.page.policy, self.page.html.clone()),
        }
    }

    fn json(&self, write: impl Fn(&Live) -> serde_json::Result<Vec<u8>>) -> Answer {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        match write(&live) {
            Ok(bytes) => whole(StatusCode::OK, JSON, REPORT_POLICY, bytes),
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "this cannot be written as JSON"),
        }
    }

    /// One event for each frame. A viewer who is slow gets the newest when it is ready for one.
    fn events(&self) -> Answer {
        if self.frames.receiver_count() == 0 {
            self.renew();
        }
        let frames = self.frames.subscribe();
        let stream =
            futures_util::stream::unfold((frames, None), |(mut frames, sent)| async move {
                if sent.is_some() {
                    frames.changed().await.ok()?;
                }
                let newest = Arc::clone(&frames.borrow_and_update());
                let frame = Frame::data(newest.event(sent));
                Some((Ok::<_, Infallible>(frame), (frames, Some(newest.number))))
            });
        respond(StatusCode::OK, EVENTS, REPORT_POLICY, StreamBody::new(stream).boxed_unsync())
    }

    async fn obey(&self, name: &str, request: Request<Incoming>) -> Answer {
        let Some(control) = &self.control else {
            return text(
                StatusCode::FORBIDDEN,
                "this page can only be read: start the run with `--control` to steer it from here",
            );
        };
        let body = Limited::new(request.into_body(), LONGEST_BODY).collect().await;
        let Ok(body) = body else {
            return text(StatusCode::PAYLOAD_TOO_LARGE, "the text of a mark is too long");
        };
        match name {
            "end" => control.end(),
            "pause" => control.pause(true),
            "resume" => control.pause(false),
            _ => control.mark(&String::from_utf8_lossy(&body.to_bytes())),
        }
        text(StatusCode::OK, "done")
    }
}

/// Compares in a time that does not tell how much of a guess is right.
fn is_same(guess: &str, token: &str) -> bool {
    guess.len() == token.len()
        && guess.bytes().zip(token.bytes()).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
}

fn text(status: StatusCode, text: &str) -> Answer {
    whole(status, TEXT, REPORT_POLICY, text.to_owned())
}

fn whole(status: StatusCode, kind: &'static str, policy: &str, body: impl Into<Bytes>) -> Answer {
    respond(status, kind, policy, Full::new(body.into()).boxed_unsync())
}

fn respond(
    status: StatusCode,
    kind: &'static str,
    policy: &str,
    body: UnsyncBoxBody<Bytes, Infallible>,
) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    let fixed: [(HeaderName, &'static str); 6] = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        // The address holds the token.
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_opens() {
        assert!(is_same("abc", "abc"));
        for wrong in ["", "ab", "abd", "abcd", "ABC"] {
            assert!(!is_same(wrong, "abc"), "{wrong}");
        }
    }
}
