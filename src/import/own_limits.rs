//! Errors with which a load generator tells that it has run out of something itself.

use crate::timeline::ResponseClass;

/// What a load generator's own exhaustion reads like in Go, Java, Python and Windows: descriptors
/// (EMFILE, ENFILE), local ports (EADDRNOTAVAIL), socket buffers (ENOBUFS).
const OWN_LIMITS: &[&str] = &[
    "too many open files",
    "emfile",
    "enfile",
    "cannot assign requested address",
    "can't assign requested address",
    "eaddrnotavail",
    // Connecting finds no free local port.
    "eaddrinuse",
    "no buffer space available",
    "enobufs",
    "java.net.bindexception",
    "only one usage of each socket address",
    // Python's numbers of EMFILE and EADDRNOTAVAIL on Linux, where the words are another language's.
    "oserror(24,",
    "errno 24]",
    "oserror(99,",
    "errno 99]",
];

/// Whether an error is that of the load generator, which had no descriptor, port or buffer left for
/// the request. The target never saw it.
pub(super) fn is_own_limit(class: ResponseClass, said: &str) -> bool {
    !matches!(class, ResponseClass::Status(_)) && says_own_limit(said)
}

/// Whether an error says that the load generator had no descriptor, port or buffer left.
pub(super) fn says_own_limit(said: &str) -> bool {
    if said.is_empty() {
        return false;
    }
    let said = said.to_lowercase();
    OWN_LIMITS.iter().any(|words| said.contains(words))
}
