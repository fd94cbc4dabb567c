//! Copies the recording onto the bus while it is written. It reads the file as far as it goes, so that
//! the run never waits for the bus, and goes back to what a server has lost.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::connection::Connection;
use super::coordinator::Bus;
use super::follow::place;
use super::publish::{Stored, try_store};

/// Between two looks at the file, which grows once a second.
const LOOK: Duration = Duration::from_millis(200);
/// How long the end of the recording may take to be stored.
const LAST_BYTES: Duration = Duration::from_secs(10);

/// A recording that is copied.
pub struct RecordingCopy {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Option<String>>>,
    // Without it, the run is over.
    _bus: Arc<Bus>,
}

impl RecordingCopy {
    /// Copies the file at `path` until [`RecordingCopy::finish`].
    ///
    /// # Errors
    /// If the file cannot be read, or there is no thread.
    pub fn start(bus: Arc<Bus>, path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let connection = Arc::clone(bus.begin());
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let copying =
            move || Copying { connection, file, offset: 0, error: String::new() }.run(&over);
        let thread = thread::Builder::new().name("kp-bus-copy".to_owned()).spawn(copying)?;
        Ok(Self { is_over, thread: Some(thread), _bus: bus })
    }

    /// Copies the rest, and says on the bus that the run is over. Returns what could not be stored, in
    /// words.
    pub fn finish(mut self) -> Option<String> {
        self.is_over.store(true, Ordering::Release);
        self.thread.take().and_then(|thread| thread.join().ok()).flatten()
    }
}

impl Drop for RecordingCopy {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
    }
}

struct Copying {
    connection: Arc<Connection>,
    file: File,
    offset: u64,
    error: String,
}

impl Copying {
    fn run(mut self, is_over: &AtomicBool) -> Option<String> {
        let mut made = self.connection.made.clone();
        let mut deadline = None;
        loop {
            let was_over = is_over.load(Ordering::Acquire);
            if made.has_changed().unwrap_or(false) {
                let _since = *made.borrow_and_update();
                self.go_back();
            }
            let is_complete = self.copy_what_is_there();
            if was_over {
                if is_complete && self.store(self.connection.subjects.end(), "end", 1, Bytes::new())
                {
                    return None;
                }
                let deadline = *deadline.get_or_insert_with(|| Instant::now() + LAST_BYTES);
                if Instant::now() >= deadline {
                    return Some(format!(
                        "the bus {} does not have the end of the recording: {}",
                        self.connection.address, self.error
                    ));
                }
            }
            if !was_over || !is_complete {
                thread::sleep(LOOK);
            }
        }
    }

    /// Copies up to the end of the file. Returns whether the server has all of it.
    fn copy_what_is_there(&mut self) -> bool {
        let mut buffer = vec![0; self.connection.part()];
        loop {
            let length = match self.file.read_at(&mut buffer, self.offset) {
                Ok(0) => return true,
                Ok(length) => length,
                Err(error) => {
                    self.error = error.to_string();
                    return false;
                }
            };
            let bytes = Bytes::copy_from_slice(&buffer[..length]);
            let id = format!("recording-{}", self.offset);
            // A place begins at one.
            let place = self.offset + 1;
            if !self.store(self.connection.subjects.recording(), &id, place, bytes) {
                return false;
            }
            self.offset += length as u64;
        }
    }

    fn store(&mut self, subject: String, id: &str, place: u64, bytes: Bytes) -> bool {
        let message = Stored { subject, id: id.to_owned(), place, bytes };
        let stored = self.connection.wait(try_store(&self.connection.jetstream, &message));
        stored.map_err(|why| self.error = why).is_ok()
    }

    /// To the end of what the server has, if it lost something.
    fn go_back(&mut self) {
        let connection = &self.connection;
        let end = connection.wait(async {
            let stream =
                connection.jetstream.get_stream(connection.subjects.stream()).await.ok()?;
            let recording = connection.subjects.recording();
            let last = stream.get_last_raw_message_by_subject(&recording).await.ok()?;
            Some(place(Some(&last.headers))? - 1 + last.payload.len() as u64)
        });
        if let Some(end) = end {
            self.offset = self.offset.min(end);
        }
    }
}
