//! The pipes between the guard and the services that it starts. Settings go in through standard
//! input, because a process list would show the password in an argument. One line of JSON comes
//! back.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::process;

/// The environment variable in which the guard names the port for a service; any free one without.
pub(super) const PORT_VARIABLE: &str = "KNEEPOINT_DEMO_LISTEN";

/// The line that a service writes when it listens.
#[derive(Serialize, Deserialize)]
pub(super) struct Listening {
    /// Port on the loopback address.
    pub port: u16,
}

/// Settings of a service, as the guard sends them.
pub(super) fn read_settings<T: DeserializeOwned>() -> io::Result<T> {
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// Writes one line of JSON to standard output, which is a pipe to the parent.
pub(super) fn tell(message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

/// Waits until `done` returns a value; fails when the parent has ended or `patience` is over.
pub(super) fn wait_for<T>(
    what: &str,
    patience: Duration,
    mut done: impl FnMut() -> Result<Option<T>, String>,
) -> Result<T, String> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = done()? {
            return Ok(value);
        }
        if process::stdin_is_closed() {
            return Err("the process that started the demo has ended".to_owned());
        }
        if Instant::now() > deadline {
            return Err(format!("{what} took longer than {} s", patience.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The first line that a child writes.
pub(super) fn read_line_within(
    mut output: impl Read + Send + 'static,
    patience: Duration,
    what: &str,
) -> Result<String, String> {
    let reader = std::thread::spawn(move || {
        let mut line = String::new();
        // If the output ends early, the line is empty, and the caller reports an error.
        let _length = BufReader::new(&mut output).read_line(&mut line).is_ok();
        line
    });
    wait_for(what, patience, || Ok(reader.is_finished().then_some(())))?;
    Ok(reader.join().unwrap_or_default())
}
