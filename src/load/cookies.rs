//! The cookies of one user (RFC 6265): the values that a target set are sent back to it.

use cookie::Cookie;
use cookie::time::OffsetDateTime;

/// One user keeps at most this many cookies (RFC 6265, section 6.1, asks for 50).
const MOST: usize = 50;
/// Longer cookies are not kept.
const LONGEST: usize = 4096;

/// The cookies of one user. All come from one target, so that hosts need not be distinguished.
#[derive(Debug, Default)]
pub(super) struct Jar(Vec<Kept>);

#[derive(Debug)]
struct Kept {
    name: String,
    value: String,
    path: String,
}

impl Jar {
    /// Removes all cookies.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Stores the cookie of one `Set-Cookie` header of a response to a request of `path`. Invalid
    /// cookies are ignored, as browsers do.
    pub(super) fn set(&mut self, header: &str, path: &str, is_https: bool) {
        let Ok(cookie) = Cookie::parse(header) else { return };
        if header.len() > LONGEST || (cookie.secure() == Some(true) && !is_https) {
            return;
        }
        let path = match cookie.path() {
            Some(given) if given.starts_with('/') => given.to_owned(),
            _ => default_path(path).to_owned(),
        };
        self.0.retain(|kept| kept.name != cookie.name() || kept.path != path);
        if is_over(&cookie) || self.0.len() >= MOST {
            return;
        }
        let (name, value) = (cookie.name().to_owned(), cookie.value().to_owned());
        self.0.push(Kept { name, value, path });
    }

    /// The `Cookie` header for a request of `path`, with its line end. Empty if no cookie applies.
    pub(super) fn line(&self, path: &str) -> String {
        let mut line = String::new();
        for kept in self.0.iter().filter(|kept| covers(&kept.path, path)) {
            line.push_str(if line.is_empty() { "cookie: " } else { "; " });
            line.push_str(&kept.name);
            line.push('=');
            line.push_str(&kept.value);
        }
        if !line.is_empty() {
            line.push_str("\r\n");
        }
        line
    }

    /// Whether there are no cookies.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether the target asks to delete a cookie.
fn is_over(cookie: &Cookie<'_>) -> bool {
    match (cookie.max_age(), cookie.expires_datetime()) {
        (Some(age), _) => !age.is_positive(),
        (None, Some(at)) => at <= OffsetDateTime::now_utc(),
        (None, None) => false,
    }
}

/// The path of a cookie that does not name one (section 5.1.4).
fn default_path(path: &str) -> &str {
    let path = path.split('?').next().unwrap_or_default();
    match path.rfind('/') {
        Some(at) if at > 0 => &path[..at],
        _ => "/",
    }
}

/// Whether a cookie with path `cookie` is sent with a request of `path` (section 5.1.4).
fn covers(cookie: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    match path.strip_prefix(cookie) {
        Some(rest) => rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jar(headers: &[&str]) -> Jar {
        let mut jar = Jar::default();
        headers.iter().for_each(|header| jar.set(header, "/shop/login?x=1", false));
        jar
    }

    #[test]
    fn cookies_come_back_where_their_path_says() {
        let jar = jar(&["sid=1; Path=/; HttpOnly", "cart=2", "deep=3; Path=/shop/x", "bad"]);
        assert_eq!(jar.line("/"), "cookie: sid=1\r\n");
        assert_eq!(jar.line("/shop/a"), "cookie: sid=1; cart=2\r\n");
        assert_eq!(jar.line("/shop/x/y?q"), "cookie: sid=1; cart=2; deep=3\r\n");
        assert_eq!(jar.line("/shopping"), "cookie: sid=1\r\n");
        assert_eq!(Jar::default().line("/"), "");
    }

    #[test]
    fn the_last_value_counts_and_what_is_over_is_forgotten() {
        assert_eq!(jar(&["a=1; Path=/", "a=2; Path=/"]).line("/"), "cookie: a=2\r\n");
        assert!(jar(&["a=1", "a=; Max-Age=0"]).is_empty());
        assert!(jar(&["a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT"]).is_empty());
        assert!(jar(&["a=1; Secure"]).is_empty(), "not over plain HTTP");
    }

    #[test]
    fn a_hostile_target_fills_no_memory() {
        let many: Vec<String> = (0..1000).map(|n| format!("c{n}=1")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(jar(&many).0.len(), MOST);
        assert!(jar(&[&format!("a={}", "x".repeat(LONGEST))]).is_empty());
    }
}
