//! Rates, durations, shares and URLs, as people write them in plans and on the command line.

use std::time::Duration;

use super::{Proxy, Secret, TargetUrl};

/// Requests per second from `50/s`, `3000/m`, `7200/h` or a bare `50` (vegeta's form). The rate is
/// finite and not negative; the caller decides whether zero is allowed.
///
/// # Errors
///
/// What is wrong with the text, and what to write instead.
///
/// ```
/// use kneepoint::plan::parse_rate;
///
/// assert_eq!(parse_rate("3000/m"), Ok(50.0));
/// assert_eq!(parse_rate("fast").unwrap_err(), "`fast` is not a rate; write `50/s` or `3000/m`");
/// ```
pub fn parse_rate(text: &str) -> Result<f64, String> {
    let wrong = || format!("`{text}` is not a rate; write `50/s` or `3000/m`");
    let (number, per_seconds) = match text.split_once('/') {
        None => (text, 1.0),
        Some((number, unit)) => match unit.trim() {
            "s" | "sec" | "second" => (number, 1.0),
            "m" | "min" | "minute" => (number, 60.0),
            "h" | "hour" => (number, 3600.0),
            _ => return Err(wrong()),
        },
    };
    let number = decimal(number.trim()).ok_or_else(wrong)?;
    Ok(number / per_seconds)
}

/// A duration in Go's form: `1m30s`, `500ms`, `1.5s`, `2h`, and `0`.
///
/// # Errors
///
/// What is wrong with the text, and what to write instead.
///
/// ```
/// use std::time::Duration;
///
/// use kneepoint::plan::parse_duration;
///
/// assert_eq!(parse_duration("1m30s"), Ok(Duration::from_secs(90)));
/// assert!(parse_duration("5").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration; write `1m30s` or `500ms`");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let number = decimal(&rest[..digits]).ok_or_else(wrong)?;
        rest = &rest[digits..];
        // The longest unit first, so that `ms` is not read as minutes.
        let units = [
            ("ns", 1e-9),
            ("us", 1e-6),
            ("µs", 1e-6),
            ("ms", 1e-3),
            ("s", 1.0),
            ("m", 60.0),
            ("h", 3600.0),
        ];
        let (unit, scale) =
            units.into_iter().find(|(unit, _)| rest.starts_with(unit)).ok_or_else(wrong)?;
        rest = &rest[unit.len()..];
        seconds += number * scale;
    }
    if text.is_empty() {
        return Err(wrong());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

/// A share from `1%`, `0.5 %` or `0.01`; between 0 and 1.
///
/// ```
/// use kneepoint::plan::parse_share;
///
/// assert_eq!(parse_share("10%"), Some(0.1));
/// assert_eq!(parse_share("10"), None);
/// ```
pub fn parse_share(text: &str) -> Option<f64> {
    let share = match text.strip_suffix('%') {
        Some(percent) => decimal(percent.trim_end())? / 100.0,
        None => decimal(text)?,
    };
    (0.0..=1.0).contains(&share).then_some(share)
}

/// A number in a base unit: `80`, `75%` (a ratio), `2GiB` (bytes), `300ms` (seconds).
pub(super) fn parse_amount(text: &str) -> Option<f64> {
    if let Some(number) = decimal(text) {
        return Some(number);
    }
    const BYTES: [(&str, f64); 6] = [
        ("KiB", 1024.0),
        ("MiB", 1_048_576.0),
        ("GiB", 1_073_741_824.0),
        ("kB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
    ];
    for (unit, bytes) in BYTES {
        if let Some(number) = text.strip_suffix(unit) {
            return decimal(number.trim_end()).map(|number| number * bytes);
        }
    }
    parse_share(text).or_else(|| Some(parse_duration(text).ok()?.as_secs_f64()))
}

/// A finite decimal number without sign or exponent.
pub(super) fn decimal(text: &str) -> Option<f64> {
    let plain = text.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    text.parse().ok().filter(|number: &f64| plain && number.is_finite())
}

/// The URL of a target from `http://host:port/base` or `https://…`.
///
/// # Errors
///
/// What is wrong with the text, and what to write instead. The message contains no password.
///
/// ```
/// use kneepoint::plan::parse_target_url;
///
/// let url = parse_target_url("https://shop.example/api/")?;
/// assert_eq!((url.port, url.base_path.as_str()), (443, "/api"));
/// assert_eq!(
///     parse_target_url("shop/cart").unwrap_err(),
///     "`shop/cart` is not a full URL; write `http://host:port/path`"
/// );
/// # Ok::<(), String>(())
/// ```
pub fn parse_target_url(text: &str) -> Result<TargetUrl, String> {
    let shown = super::redact_url(text);
    let url = url::Url::parse(text).map_err(|why| match why {
        url::ParseError::RelativeUrlWithoutBase => {
            format!("`{shown}` is not a full URL; write `http://host:port/path`")
        }
        why => format!("`{shown}` is not a valid URL: {why}; write `http://host:port/path`"),
    })?;
    let https = match url.scheme() {
        "http" => false,
        "https" => true,
        other => return Err(format!("`{other}` is not supported; write `http://` or `https://`")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        // Not shown at all: a token may stand where the user's name does.
        return Err(
            "the target's URL contains credentials; remove them and send an `authorization` \
             header instead"
                .to_owned(),
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("`{shown}` has a query; move it to the `path` of the request"));
    }
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = url.port_or_known_default().unwrap_or(if https { 443 } else { 80 });
    if port == 0 {
        return Err(format!("`{shown}` has port 0; write the port that the target listens on"));
    }
    Ok(TargetUrl { https, host, port, base_path: url.path().trim_end_matches('/').to_owned() })
}

/// A proxy from `http://host:port` or `http://user:password@host:port`. User and password are
/// percent-encoded, as in any URL: `%40` for `@`.
///
/// # Errors
///
/// What is wrong with the text, and what to write instead. The message contains no credentials.
pub(super) fn parse_proxy(text: &str) -> Result<Proxy, String> {
    const FORM: &str = "write `http://host:port`";
    let url = url::Url::parse(text)
        .map_err(|why| format!("the proxy's URL is not valid: {why}; {FORM}"))?;
    if url.scheme() != "http" {
        return Err(format!("`{}` proxies are not supported; {FORM}", url.scheme()));
    }
    if url.query().is_some() || url.fragment().is_some() || url.path() != "/" {
        return Err(format!("the proxy's URL has a path or a query; {FORM}"));
    }
    let plain = |text: &str| {
        let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
        decoded
            .map(String::from)
            .map_err(|_| format!("the proxy's credentials are not valid UTF-8; {FORM}"))
    };
    let credentials = match (url.username(), url.password()) {
        ("", None) => None,
        (user, password) => {
            let pair = format!("{}:{}", plain(user)?, plain(password.unwrap_or_default())?);
            Some(Secret::new(pair))
        }
    };
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    match url.port_or_known_default() {
        Some(port) if port > 0 => Ok(Proxy { host, port, credentials }),
        _ => Err(format!("the proxy's URL has no port; {FORM}")),
    }
}
