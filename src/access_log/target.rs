//! Targets of requests: their paths, and which parts of a path are values.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// A longer part of a path with letters and digits in it is a name that a program made.
const OPAQUE: usize = 20;
/// A part of a path with at least this many hexadecimal digits, one of them decimal, is a hash.
const SHORTEST_HASH: usize = 8;

/// Servers write an octet that is not printable, and a quote, as `\xHH`.
pub(crate) fn unescaped(target: &str) -> Cow<'_, str> {
    if !target.contains('\\') {
        return Cow::Borrowed(target);
    }
    static OCTET: LazyLock<Regex> = LazyLock::new(|| {
        // Checked by every test of this room.
        Regex::new(r"\\x([0-9A-Fa-f]{2})").unwrap_or_else(|why| unreachable!("{why}"))
    });
    OCTET.replace_all(target, "%$1")
}

/// The path of a target with its query; `None` where it is not a path, such as that of
/// `OPTIONS *`.
pub(crate) fn path(target: &str) -> Option<&str> {
    // A proxy's log has whole addresses.
    let path = match target.split_once("://") {
        Some(("http" | "https" | "ws" | "wss", rest)) => {
            rest.find('/').map_or("/", |at| &rest[at..])
        }
        _ => target,
    };
    path.split('#').next().filter(|path| path.starts_with('/'))
}

/// The name of a request, `GET /books/17`, with its values left out: `GET /books/:id`.
pub(crate) fn grouped(name: &str) -> String {
    let segments = name.split('/');
    let parts = segments.map(|segment| if varies(segment) { ":id" } else { segment });
    parts.collect::<Vec<_>>().join("/")
}

/// Whether a part of a path is a value: a number, a UUID, a hash, a date, an address of mail, or a
/// long name that no one typed.
pub(crate) fn varies(segment: &str) -> bool {
    let stem = segment.rsplit_once('.').map_or(segment, |(stem, _)| stem);
    let digits = stem.bytes().filter(u8::is_ascii_digit).count();
    if digits > 0 && stem.bytes().all(|byte| byte.is_ascii_digit() || b"-_.:,".contains(&byte)) {
        return true;
    }
    let hex = stem.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if hex && digits > 0 && stem.len() >= SHORTEST_HASH {
        return true;
    }
    let word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=%~+".contains(&byte);
    let opaque = digits > 0 && stem.len() >= OPAQUE && stem.bytes().all(word);
    opaque || segment.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_paths_are_grouped() {
        assert_eq!(grouped("GET /books/17/cover.png"), "GET /books/:id/cover.png");
        assert_eq!(grouped("POST /cart"), "POST /cart");
        assert_eq!(path("https://shop.test:443/books?a=1#x"), Some("/books?a=1"));
        assert_eq!((path("http://shop.test"), path("*")), (Some("/"), None));
    }
}
