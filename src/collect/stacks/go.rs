//! Goroutines and CPU profiles of Go programs, by the pprof endpoint that the plan names.
//!
//! The goroutine profile comes as counts by stack. Since Go 1.19 the program stops for it only for
//! a moment, however many goroutines there are. It does not say in words what a goroutine waits
//! for, but the runtime's innermost calls do. Go does not record who holds a mutex.

use std::time::{Duration, Instant};

use super::RuntimeSpec;
use super::pprof::{self, Call, Profile};
use super::stack::{Dump, Frame, MOST_FRAMES, State, Thread};
use crate::collect::OpenError;
use crate::collect::http::{self, Http};
use crate::plan::CollectorConfig;

pub(super) static SPEC: RuntimeSpec = RuntimeSpec { name: "go", thing: "goroutines", open };

const HINT: &str = "write `go = \"http://127.0.0.1:6060/debug/pprof\"`, and import \
                    `net/http/pprof` in the program";
/// Seconds that one CPU profile covers.
const PROFILE_SECONDS: u64 = 1;
const TIMEOUT: Duration = Duration::from_secs(3);
const MOST_BYTES: usize = 32 << 20;

/// Packages of Go's standard library, by the first part of their path.
const STANDARD: &[&str] = &[
    "archive",
    "bufio",
    "bytes",
    "cmp",
    "compress",
    "container",
    "context",
    "crypto",
    "database",
    "debug",
    "embed",
    "encoding",
    "errors",
    "expvar",
    "flag",
    "fmt",
    "go",
    "hash",
    "html",
    "image",
    "index",
    "internal",
    "io",
    "iter",
    "log",
    "maps",
    "math",
    "mime",
    "net",
    "os",
    "path",
    "plugin",
    "reflect",
    "regexp",
    "runtime",
    "slices",
    "sort",
    "strconv",
    "strings",
    "structs",
    "sync",
    "syscall",
    "testing",
    "text",
    "time",
    "type",
    "unicode",
    "unique",
    "unsafe",
    "vendor",
    "weak",
];

fn open(config: &CollectorConfig) -> Result<Option<Box<dyn super::Runtime>>, OpenError> {
    let Some(text) = config.text("go") else { return Ok(None) };
    let go = Go(Http::open("the `go` URL", text, None, TIMEOUT, HINT)?);
    go.goroutines().map_err(|why| OpenError::new(why, HINT))?;
    Ok(Some(Box::new(go)))
}

struct Go(Http);

impl super::Runtime for Go {
    fn runs_in(&mut self, _pid: u32) -> bool {
        false
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn look(&mut self, _pids: &[u32]) -> Vec<Result<Dump, String>> {
        vec![self.dump()]
    }
}

impl Go {
    fn dump(&self) -> Result<Dump, String> {
        let begin = Instant::now();
        let goroutines = self.goroutines()?;
        let pause = begin.elapsed().as_secs_f64();
        let threads = goroutines.stacks(0).filter_map(|(calls, count)| thread(&calls, count));
        let mut dump = Dump { threads: threads.collect(), pause, ..Dump::default() };
        // Another profile may be under way; the goroutines are worth reporting without it.
        let query = format!("seconds={PROFILE_SECONDS}");
        let profile = self.get("profile", Some(&query)).and_then(|bytes| pprof::read(&bytes));
        if let Ok(profile) = profile {
            let seconds = profile.seconds.max(PROFILE_SECONDS as f64 / 2.0);
            // The values are the number of samples and nanoseconds.
            for (calls, nanos) in profile.stacks(1) {
                let frames = frames(&calls);
                if nanos > 0 && !frames.is_empty() {
                    dump.cpu.push((frames, nanos as f64 / 1e9 / seconds));
                }
            }
        }
        Ok(dump)
    }

    fn goroutines(&self) -> Result<Profile, String> {
        self.get("goroutine", None)
            .and_then(|bytes| pprof::read(&bytes))
            .map_err(|why| format!("cannot read goroutines from `{}`: {why}", self.0.shown))
    }

    fn get(&self, profile: &str, query: Option<&str>) -> Result<Vec<u8>, String> {
        let mut url = self.0.url.clone();
        let path = format!("{}/{profile}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url.set_query(query);
        self.0.runtime.block_on(async {
            // The URL may hold a password, so errors do not show it.
            let fail = |error: reqwest::Error| error.without_url().to_string();
            let response = self.0.client.get(url).send().await.map_err(fail)?;
            if !response.status().is_success() {
                return Err(format!("status {}", response.status().as_u16()));
            }
            let body = http::body(response, MOST_BYTES).await.map_err(fail)?;
            body.ok_or_else(|| format!("more than {} MiB", MOST_BYTES >> 20))
        })
    }
}

/// Goroutines with one stack; `None` for those of the runtime, and for the one that takes the
/// profile.
fn thread(calls: &[Call<'_>], count: i64) -> Option<Thread> {
    let is_runtime = |call: &Call<'_>| call.function.starts_with("runtime.");
    let is_profiler = |call: &Call<'_>| call.function.starts_with("runtime/pprof.");
    if calls.iter().all(is_runtime) || calls.iter().any(is_profiler) {
        return None;
    }
    let is_any = |names: &[&str]| {
        calls.iter().take(8).any(|call| names.iter().any(|name| call.function.ends_with(name)))
    };
    let is_parked = calls.first().is_some_and(|call| call.function == "runtime.gopark");
    let state = if is_any(&[
        "sync.runtime_SemacquireMutex",
        "sync.runtime_SemacquireRWMutex",
        "sync.runtime_SemacquireRWMutexR",
    ]) {
        State::Lock
    } else if is_any(&["poll.runtime_pollWait", "poll.runtime_pollWaitCanceled"]) {
        State::Io
    } else if is_parked && is_any(&["time.Sleep"]) {
        State::Sleep
    } else if is_parked {
        State::Wait
    } else if is_any(&["syscall.Syscall", "syscall.Syscall6", "syscall.RawSyscall6"]) {
        State::Io
    } else {
        State::Running
    };
    let count = u64::try_from(count).ok().filter(|count| *count > 0)?;
    Some(Thread { count, ..Thread::new(state, frames(calls)) })
}

fn frames(calls: &[Call<'_>]) -> Vec<Frame> {
    calls.iter().take(MOST_FRAMES).map(frame).collect()
}

fn frame(call: &Call<'_>) -> Frame {
    let file = call.file.rsplit('/').next().unwrap_or_default();
    // `shop/ledger.(*Ledger).Add` is in the package `shop/ledger`. Only packages from elsewhere
    // have a dot before their first slash.
    let first = call.function.split(['/', '.']).next().unwrap_or_default();
    let is_standard = STANDARD.contains(&first) && !call.function.starts_with("main.");
    let is_foreign = call.file.contains("/pkg/mod/") || call.file.contains("/vendor/");
    let is_own = !is_standard && !is_foreign && !call.function.is_empty();
    Frame::new(short(call.function), file, call.line, is_own)
}

/// The function without the path of its package: `ledger.(*Ledger).Add`.
fn short(function: &str) -> &str {
    // A type parameter may contain slashes.
    let end = function.find('[').unwrap_or(function.len());
    let from = function[..end].rfind('/').map_or(0, |slash| slash + 1);
    &function[from..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(names: &[&'static str]) -> Vec<Call<'static>> {
        names
            .iter()
            .map(|name| Call { function: name, file: "/src/shop/ledger.go", line: 57 })
            .collect()
    }

    #[test]
    fn the_runtimes_calls_say_what_a_goroutine_waits_for() {
        let state = |names: &[&'static str]| thread(&calls(names), 3).map(|thread| thread.state);
        let lock =
            ["runtime.gopark", "runtime.semacquire1", "sync.runtime_SemacquireMutex", "main.add"];
        assert_eq!(state(&lock), Some(State::Lock));
        assert_eq!(
            state(&["runtime.gopark", "internal/sync.runtime_SemacquireMutex", "main.add"]),
            Some(State::Lock)
        );
        assert_eq!(state(&["runtime.gopark", "time.Sleep", "main.add"]), Some(State::Sleep));
        assert_eq!(
            state(&["runtime.gopark", "internal/poll.runtime_pollWait", "net.x"]),
            Some(State::Io)
        );
        assert_eq!(state(&["runtime.gopark", "runtime.chanrecv", "main.add"]), Some(State::Wait));
        assert_eq!(state(&["main.add"]), Some(State::Running));
        assert_eq!(state(&["runtime.gopark", "runtime.gcBgMarkWorker"]), None);
        assert_eq!(state(&["runtime/pprof.writeGoroutine", "net/http.serve"]), None);
    }

    #[test]
    fn own_code_is_neither_the_standard_library_nor_a_module_from_elsewhere() {
        let own = |function, file| frame(&Call { function, file, line: 1 }).is_own;
        assert!(own("main.(*Ledger).Add", "/src/ledger.go"));
        assert!(own("shop/ledger.Add", "/src/ledger.go"));
        assert!(own("example.com/shop/ledger.Add", "/src/ledger.go"));
        assert!(!own("net/http.(*conn).serve", "/usr/lib/go/src/net/http/server.go"));
        assert!(!own("sync.(*Mutex).Lock", "/usr/lib/go/src/sync/mutex.go"));
        assert!(!own("github.com/gin-gonic/gin.New", "/root/go/pkg/mod/github.com/gin@v1/gin.go"));
        assert_eq!(
            short("example.com/shop/ledger.(*Ledger[a/b.C]).Add"),
            "ledger.(*Ledger[a/b.C]).Add"
        );
    }
}
