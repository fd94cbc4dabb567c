//! The thread that serves viewers.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Semaphore, oneshot};

use super::control::Control;
use super::priority::yield_to_load;
use super::site::Site;
use crate::live::Live;

/// Most connections at a time. Each viewer has one or two.
const MOST_CONNECTIONS: usize = 400;
/// How long a connection may take to ask for something.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of the token. Nobody guesses so many.
const TOKEN_BYTES: usize = 16;

/// Serves viewers until it is dropped.
pub struct Viewer {
    site: Arc<Site>,
    address: SocketAddr,
    token: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Viewer {
    /// Serves what `live` shows. Without a `control`, a viewer can only look.
    ///
    /// # Errors
    ///
    /// If the address cannot be listened on.
    pub fn start(
        address: SocketAddr,
        live: Arc<Mutex<Live>>,
        control: Option<Arc<dyn Control>>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let token: String =
            rand::random::<[u8; TOKEN_BYTES]>().iter().map(|byte| format!("{byte:02x}")).collect();
        let site = Arc::new(Site::new(token.clone(), live, control));
        site.publish();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&site);
        let thread = std::thread::Builder::new().name("kp-viewer".into()).spawn(move || {
            yield_to_load();
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, served) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { site, address, token, stop: Some(stop), thread: Some(thread) })
    }

    /// The address to open, with its token.
    pub fn url(&self) -> String {
        format!("http://{}/{}/", self.address, self.token)
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends everybody who looks what the run shows now.
    pub fn publish(&self) {
        self.site.publish();
    }

    /// Shows a report in place of the live page.
    pub fn show_report(&self, html: Vec<u8>) {
        self.site.show_report(html);
    }

    /// How many look at the live page.
    pub fn viewers(&self) -> usize {
        self.site.frames.receiver_count()
    }

    /// How often the report was opened.
    pub fn reports(&self) -> u64 {
        self.site.reports.load(Ordering::Relaxed)
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // An error means that the thread has ended already.
            let _stopped = stop.send(()).is_ok();
        }
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn serve(listener: TcpListener, site: Arc<Site>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // No descriptors until some are closed.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
        // Fails if the viewer has gone already; serving it will show that too.
        let _set = stream.set_nodelay(true).is_ok();
        let site = Arc::clone(&site);
        tokio::spawn(async move {
            let _place = place;
            let service = service_fn(move |request| {
                let site = Arc::clone(&site);
                async move { Ok::<_, Infallible>(site.answer(request).await) }
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
            // A viewer that leaves is not an error.
            let _left = builder.serve_connection(TokioIo::new(stream), service).await.is_ok();
        });
    }
}
