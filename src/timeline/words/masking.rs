//! Hides secrets in text that others wrote: response bodies, headers and log lines.
//!
//! A text is masked before it is kept, so that no recording, report or log has a secret in it. What
//! looks like a secret is hidden even if it may be none: a hidden word costs less than a leaked key.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What stands in place of a secret.
const HIDDEN: &str = "***";

/// Length from which letters mixed with digits are taken for a random string.
const RANDOM_LENGTH: usize = 20;
/// Changes between lower case, upper case and digits per character, from which a string is random.
/// Words joined in camel case change about once in eight characters, keys once in three.
const RANDOM_CHANGES: f64 = 0.15;
/// A number of at least this many digits may be that of a card.
const CARD_DIGITS: usize = 15;
/// From this length on, what follows `Bearer` is no word of a sentence.
const TOKEN_LENGTH: usize = 20;

/// Whether the name of a header, query parameter or option says that its value is secret.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    const PARTS: [&str; 14] = [
        "authorization",
        "cookie",
        "password",
        "passwd",
        "passphrase",
        "pwd",
        "secret",
        "token",
        "jwt",
        "credential",
        "signature",
        "api-key",
        "api_key",
        "apikey",
    ];
    const WHOLE: [&str; 4] = ["key", "pass", "sid", "sessionid"];
    PARTS.iter().any(|part| name.contains(part)) || WHOLE.contains(&name.as_str())
}

/// Whether the name of a value in a text says that it is secret. Texts of others have names that
/// plans do not: session cookies, keys in environment variables.
fn is_secret_in_text(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    const ENDS: [&str; 8] =
        ["sid", "sessid", "session", "sessionid", "session_id", "session-id", "_key", "-key"];
    const KEYS: [&str; 4] = ["accesskey", "privatekey", "secretkey", "accountkey"];
    is_secret_name(&lower)
        || ENDS.iter().any(|end| lower.ends_with(end))
        || KEYS.iter().any(|key| lower.contains(key))
        || ["pass", "auth", "otp", "pin", "cvv", "ssn", "iban"].contains(&lower.as_str())
}

/// An expression of this file.
#[expect(clippy::unwrap_used, reason = "the tests compile every expression of this file")]
fn expression(text: &str) -> Regex {
    Regex::new(text).unwrap()
}

static PRIVATE_KEY: LazyLock<Regex> = LazyLock::new(|| {
    expression(r"(?s)-----BEGIN [A-Z0-9 ]*KEY-----.*?(?:-----END [A-Z0-9 ]*KEY-----|$)")
});
/// User and password of a URL, up to the last `@`: a password may have one of its own.
static USER_INFO: LazyLock<Regex> = LazyLock::new(|| expression(r#"(://)[^\s"'<>]*(@)"#));
/// The whole rest of the line is secret: headers of credentials.
static HEADER: LazyLock<Regex> = LazyLock::new(|| {
    expression(r"(?im)\b((?:proxy-)?authorization|(?:set-)?cookie2?)(\s*[:=]\s*)[^\r\n]+")
});
/// `Bearer …` and the like.
static SCHEME: LazyLock<Regex> = LazyLock::new(|| {
    expression(
        r"(?i)\b(bearer|basic|digest|negotiate|ntlm|token|apikey)(\s+)([A-Za-z0-9._~+/=:-]{6,})",
    )
});
/// A name and its value, in the forms of JSON, TOML, query strings, cookies and log lines.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    expression(
        r#"([A-Za-z0-9_.\-]+)(\\?["']?\s*(?:=>|:=|==|=|:|%3[dD])\s*)(\\?"(?:[^"\\]|\\[^"])*(?:\\?"|$)|'[^']*(?:'|$)|[^\s,;&<>()\[\]{}"']+)"#,
    )
});
/// An option of a command line and its value.
static OPTION: LazyLock<Regex> =
    LazyLock::new(|| expression(r#"(--?[A-Za-z0-9_\-]+)(\s+)("[^"]*"|'[^']*'|[^\s-]\S*)"#));
/// `password 'x'`, `secret is "x"`.
static SPOKEN: LazyLock<Regex> = LazyLock::new(|| {
    expression(
        r#"(?i)\b(password|passwd|passphrase|secret|token|api[ _-]?key)((?:\s+(?:is|was))?\s+)("[^"]+"|'[^']+'|`[^`]+`)"#,
    )
});
/// Keys with a form of their own: JSON web tokens, cloud and forge keys.
static KNOWN: LazyLock<Regex> = LazyLock::new(|| {
    expression(concat!(
        r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)*",
        r"|\b(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{8,}",
        r"|\bgh[pousr]_[A-Za-z0-9]{10,}|\bgithub_pat_[A-Za-z0-9_]{10,}",
        r"|\b(?:sk|pk|rk)[_-][A-Za-z0-9_-]{10,}|\bxox[a-z]-[A-Za-z0-9-]{8,}",
        r"|\bglpat-[A-Za-z0-9_-]{8,}|\bAIza[A-Za-z0-9_-]{20,}|\bya29\.[A-Za-z0-9_-]+",
        r"|\bSG\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+|\bnpm_[A-Za-z0-9]{20,}",
    ))
});
static EMAIL: LazyLock<Regex> =
    LazyLock::new(|| expression(r"[A-Za-z0-9._%+'-]+(?:@|%40)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"));
static LONG: LazyLock<Regex> = LazyLock::new(|| expression(r"[A-Za-z0-9+/_=-]{15,}"));

/// `text` with `***` in place of everything that looks like a secret: credentials of URLs and
/// headers, values whose name says so, tokens, private keys, e-mail addresses, and long random
/// strings.
///
/// ```
/// use kneepoint::timeline::mask_secrets;
///
/// let line = "login of ann@example.com failed: password=hunter2, bearer abc123def";
/// assert_eq!(mask_secrets(line), "login of *** failed: password=***, bearer ***");
/// ```
pub fn mask_secrets(text: &str) -> String {
    let mut masked = Cow::Borrowed(text);
    let mut replace = |expression: &Regex, with: &dyn Fn(&Captures<'_>) -> Option<String>| {
        let whole = |found: &Captures<'_>| with(found).unwrap_or_else(|| found[0].to_owned());
        if let Cow::Owned(replaced) = expression.replace_all(&masked, whole) {
            masked = Cow::Owned(replaced);
        }
    };
    let hidden = |_: &Captures<'_>| Some(HIDDEN.to_owned());
    let value = |found: &Captures<'_>| Some(format!("{}{}{HIDDEN}", &found[1], &found[2]));
    replace(&PRIVATE_KEY, &hidden);
    replace(&USER_INFO, &|found| Some(format!("{}{HIDDEN}{}", &found[1], &found[2])));
    replace(&HEADER, &value);
    replace(&KNOWN, &hidden);
    replace(&SCHEME, &|found| is_credential(&found[3]).then(|| value(found)).flatten());
    replace(&NAMED, &|found| named(found));
    replace(&OPTION, &|found| {
        let name = found[1].trim_start_matches('-');
        is_secret_in_text(name).then(|| value(found)).flatten()
    });
    replace(&SPOKEN, &value);
    replace(&EMAIL, &hidden);
    replace(&LONG, &|found| is_random(&found[0]).then(|| HIDDEN.to_owned()));
    masked.into_owned()
}

/// A name and its value, hidden if the name says so. The quotes stay, so that JSON stays JSON.
fn named(found: &Captures<'_>) -> Option<String> {
    if !is_secret_in_text(last_part(&found[1])) {
        // A value may hold names and values of its own: `"msg":"login with password=…"`.
        let inner = NAMED.replace_all(&found[3], |found: &Captures<'_>| {
            named(found).unwrap_or_else(|| found[0].to_owned())
        });
        return Some(format!("{}{}{inner}", &found[1], &found[2]));
    }
    let quote = match &found[3] {
        value if value.starts_with("\\\"") => "\\\"",
        value if value.starts_with('"') => "\"",
        value if value.starts_with('\'') => "'",
        _ => "",
    };
    Some(format!("{}{}{quote}{HIDDEN}{quote}", &found[1], &found[2]))
}

/// The last part of a dotted name: `password` of `spring.datasource.password`.
fn last_part(name: &str) -> &str {
    name.rsplit('.').find(|part| !part.is_empty()).unwrap_or(name)
}

/// Whether what follows `Bearer` is a credential and no word of a sentence.
fn is_credential(text: &str) -> bool {
    let is_word = text.trim_end_matches(['.', ':']).bytes().skip(1).all(|b| b.is_ascii_lowercase());
    !is_word || text.len() >= TOKEN_LENGTH
}

/// Whether a text is random letters and digits, or a long number.
fn is_random(text: &str) -> bool {
    #[derive(PartialEq)]
    enum Class {
        Lower,
        Upper,
        Digit,
    }
    let (mut changes, mut letters, mut digits) = (0usize, 0usize, 0usize);
    let mut before = None;
    for byte in text.bytes() {
        let class = match byte {
            b'a'..=b'z' => Some(Class::Lower),
            b'A'..=b'Z' => Some(Class::Upper),
            b'0'..=b'9' => Some(Class::Digit),
            _ => None,
        };
        match class {
            Some(Class::Digit) => digits += 1,
            Some(_) => letters += 1,
            None => {}
        }
        // A capital before small letters begins a word.
        let is_change = match (&before, &class) {
            (Some(Class::Upper), Some(Class::Lower)) => false,
            (Some(before), Some(class)) => before != class,
            _ => false,
        };
        changes += usize::from(is_change);
        before = class;
    }
    let is_number = letters == 0 && digits >= CARD_DIGITS;
    let is_mixed = letters > 0 && digits > 0 && text.len() >= RANDOM_LENGTH;
    is_number || (is_mixed && changes as f64 >= RANDOM_CHANGES * text.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_secrets_are_hidden() {
        let planted = [
            ("Authorization: Bearer hunter2secret", "hunter2secret"),
            ("authorization: basic c2hvcDpodW50ZXIy", "c2hvcDpodW50ZXIy"),
            ("sent bearer abcdefghijklmnopqrstuvwxyz", "abcdefghij"),
            ("postgres://shop:hun@ter2@db:5432/shop", "ter2"),
            ("postgres://shop:hun/ter2@db:5432/shop", "ter2"),
            ("could not open 'amqp://guest:hunter2@mq/'", "hunter2"),
            ("password=hunter2", "hunter2"),
            ("password = \"hunter two\" user=bob", "two"),
            ("DB_PASSWORD: hunter2", "hunter2"),
            ("spring.datasource.password=hunter2", "hunter2"),
            ("{\"password\":\"hunter2\",\"user\":\"bob\"}", "hunter2"),
            ("{\\\"api_key\\\":\\\"hunter2\\\"}", "hunter2"),
            ("{'secret': 'hunter2'}", "hunter2"),
            (":password=>\"hunter2\"", "hunter2"),
            ("GET /login?user=bob&api_key=hunter2&x=1", "hunter2"),
            ("psql --password hunter2 --host db", "hunter2"),
            ("wrong password 'hunter2' for bob", "hunter2"),
            ("Cookie: sid=hunter2; theme=dark", "hunter2"),
            ("Set-Cookie: PHPSESSID=hunter2; path=/", "hunter2"),
            ("cookie JSESSIONID=hunter2", "hunter2"),
            ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_1", "eyJ"),
            ("key AKIAIOSFODNN7EXAMPLE rejected", "AKIAIOSF"),
            ("signed with wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "bPxRfiCY"),
            ("remote: ghp_16C7e42F292c6912E7710c838347Ae178B4a", "16C7e42F"),
            ("stripe sk_live_4eC39HqLyjWDarjtT1zdp7dc", "4eC39"),
            ("slack xoxb-123456789012-abcdef", "123456789012"),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc\n-----END RSA PRIVATE KEY-----",
                "MIIEow",
            ),
            ("-----BEGIN PRIVATE KEY-----\nMIIEow", "MIIEow"),
            ("user ann.smith+x@example.co.uk not found", "ann.smith"),
            ("card 4111111111111111 declined", "41111"),
            ("session d41d8cd98f00b204e9800998ecf8427e expired", "d41d8cd9"),
            ("trace 550e8400-e29b-41d4-a716-446655440000", "550e8400"),
            ("AccountKey=hunter2==;EndpointSuffix=x", "hunter2"),
            ("x-api-key: hunter2", "hunter2"),
            ("{\"msg\":\"login with password=hunter2\"}", "hunter2"),
            ("level=error msg=\"call with api_key=hunter2 failed\"", "hunter2"),
            ("headers=map[Authorization:[Bearer hunter2Tok] Host:[a]]", "hunter2"),
            ("{'Authorization': 'Token tok_hunter2', 'Host': 'a'}", "hunter2"),
            ("\"cookie\": [\"sid=hunter2\", \"b=c\"]", "hunter2"),
            ("passwd: 'hunter2 with spaces' rest", "with spaces"),
            ("PGPASSWORD=hunter2 psql", "hunter2"),
            ("password=\"hunter2 never closed", "hunter2"),
            ("Proxy-Authorization: Digest username=\"a\", response=\"hunter2\"", "hunter2"),
            ("GET /in?user=a&password%3Dhunter2&x=1", "hunter2"),
            ("GET https://ghp_abcdefghijklmnop0123@github.com/x", "ghp_abc"),
        ];
        for (text, secret) in planted {
            let masked = mask_secrets(text);
            assert!(!masked.contains(secret), "{text} became {masked}");
            assert!(masked.contains(HIDDEN), "{text} became {masked}");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "",
            "QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00",
            "upstream connect error or disconnect/reset before headers. reset reason: overflow",
            "FATAL: password authentication failed for user \"shop\"",
            "Bearer authentication required",
            "token expired",
            "java.util.concurrent.RejectedExecutionException at com.shop.HttpConnectionPoolTimeoutException",
            "/usr/lib/python3.11/site-packages/sqlalchemy/pool/impl.py, line 145",
            "connect() failed (111: Connection refused) while connecting to upstream, client: 10.0.0.3",
            "Key (id)=(5) already exists.",
            "2026-11-28T18:00:01.123456Z worker 12 took 12.5ms",
            "{\"error\":\"too many concurrent requests\",\"limit\":8}",
        ] {
            assert_eq!(mask_secrets(text), text);
        }
    }

    #[test]
    fn json_stays_json() {
        let masked = mask_secrets("{\"error\":\"no\",\"access_token\":\"a\\nb\",\"n\":1}");
        assert_eq!(masked, "{\"error\":\"no\",\"access_token\":\"***\",\"n\":1}");
    }
}
