//! What the files of other tools list: single requests, and counts of an interval.

use crate::timeline::ResponseClass;

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Request {
    /// When it was sent, in seconds since 1970 (UTC).
    pub(super) sent_unix: f64,
    /// Seconds to the end of the response.
    pub(super) took: f64,
    /// Method and path, or the tool's own name for it.
    pub(super) endpoint: String,
    /// How it ended.
    pub(super) class: ResponseClass,
    /// What the tool says of its failure.
    pub(super) said: String,
}

/// Requests of one endpoint that ended within an interval, of which only the mean is known.
pub struct Interval<'n> {
    /// Its first second, and the one after its last, since 1970.
    pub seconds: (i64, i64),
    /// Name of the endpoint.
    pub endpoint: &'n str,
    /// How they ended.
    pub class: ResponseClass,
    /// How many.
    pub count: u64,
    /// Their mean response time in seconds.
    pub mean: f64,
}

/// Requests of one endpoint that ended within an interval, of which the distribution is known.
pub(super) struct Ended<'n> {
    /// Its first second, and the one after its last, since 1970.
    pub(super) seconds: (i64, i64),
    /// Name of the endpoint.
    pub(super) endpoint: &'n str,
    /// How they ended.
    pub(super) class: ResponseClass,
    /// Response times in seconds, and how many requests had each.
    pub(super) times: &'n [(f64, u64)],
    /// What the tool says of their failure.
    pub(super) said: &'n str,
}

/// The path of a URL. Its query is left out: it varies, and may hold secrets.
pub(super) fn path_of(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok().filter(url::Url::has_host)?;
    Some(url.path().to_owned())
}
