//! A connection to the bus that was checked before anything relies on it.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::{CreateStreamErrorKind, RequestErrorKind};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, Event};
use serde::Deserialize;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use super::address::{BusAddress, RunName};
use super::subject::Subjects;
use crate::remote::link::LinkError;

/// How long the bus may take to answer before a run.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest pause before a lost connection is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Room for a run, in bytes: the first that the server grants. A hundred generators write 0.1 MB/s.
const ROOMS: [i64; 3] = [1 << 30, 256 << 20, 64 << 20];
/// The oldest server whose deduplication and consumers were tried.
const OLDEST_SERVER: (i64, i64) = (2, 9);
/// A message of the bus is at most half as long as the server takes, and at most this long.
const LONGEST_PART: usize = 256 << 10;
/// Storage that the server does not have: JetStream's own error codes.
const NO_ROOM: [u64; 3] = [10023, 10047, 10122];

/// A connection to the stream of one run. It comes back by itself when it is lost.
pub(super) struct Connection {
    // Ends the tasks, so it goes first.
    runtime: Option<Runtime>,
    pub(super) client: Client,
    pub(super) jetstream: Context,
    pub(super) subjects: Subjects,
    pub(super) address: BusAddress,
    /// Counts how often the connection was made.
    pub(super) made: watch::Receiver<u64>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn wrong(what: String, hint: &str) -> LinkError {
    LinkError { what, hint: hint.to_owned() }
}

impl Connection {
    /// Connects, and checks that the bus can keep a run.
    ///
    /// # Errors
    /// What is wrong with the bus, and what to do.
    pub(super) fn open(address: &BusAddress, run: &RunName) -> Result<Arc<Self>, LinkError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("kp-bus")
            .enable_all()
            .build()
            .map_err(|error| wrong(format!("cannot start a thread: {error}"), ""))?;
        let (count, made) = watch::channel(0_u64);
        let (client, jetstream) = runtime.block_on(async {
            let client = connect(address, count).await?;
            check(&client, address)?;
            let jetstream = jetstream::new(client.clone());
            check_storage(&jetstream, address).await?;
            Ok::<_, LinkError>((client, jetstream))
        })?;
        let subjects = Subjects::of(run);
        let address = address.clone();
        Ok(Arc::new(Self { runtime: Some(runtime), client, jetstream, subjects, address, made }))
    }

    /// Makes the stream of the run if it does not exist.
    ///
    /// # Errors
    /// The server has no room for it, or does not allow it.
    pub(super) fn make_stream(&self) -> Result<(), LinkError> {
        self.wait(async {
            let mut refused = None;
            for room in ROOMS {
                let config = self.subjects.config(room);
                match self.jetstream.get_or_create_stream(config).await {
                    Ok(_) => return Ok(()),
                    Err(error) => match error.kind() {
                        CreateStreamErrorKind::JetStream(why)
                            if NO_ROOM.contains(&why.error_code().0) =>
                        {
                            refused = Some(wrong(
                                format!("the bus {} has no room for a run: {why}", self.address),
                                "raise `max_file_store` of its JetStream or the account's limit to \
                                 at least 64 MiB, or delete old streams: `nats stream rm`",
                            ));
                        }
                        _ => {
                            return Err(wrong(
                                format!(
                                    "the bus {} does not make the stream `{}`: {error}",
                                    self.address,
                                    self.subjects.stream()
                                ),
                                "allow this user `$JS.API.>` and `kneepoint.>`, see the guide's page \
                                 on other hosts",
                            ));
                        }
                    },
                }
            }
            refused.map_or(Ok(()), Err)
        })
    }

    /// Waits for something on the connection, from a thread that is not one of its own.
    pub(super) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        match &self.runtime {
            Some(runtime) => runtime.block_on(future),
            // It is there until the connection is dropped.
            None => unreachable!("the connection was dropped"),
        }
    }

    /// Lets something happen beside everything else.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            drop(runtime.spawn(future));
        }
    }

    /// The longest message to send.
    pub(super) fn part(&self) -> usize {
        (self.client.max_payload() / 2).clamp(1024, LONGEST_PART)
    }

    /// Waits a moment until the server has what was sent.
    pub(super) fn flush(&self, patience: Duration) {
        // A server that is gone has nothing to be waited for.
        let _gone =
            self.wait(async { tokio::time::timeout(patience, self.client.flush()).await.is_err() });
    }
}

async fn connect(address: &BusAddress, count: watch::Sender<u64>) -> Result<Client, LinkError> {
    let pause = |attempt: usize| Duration::from_millis(100 * attempt as u64).min(LONGEST_PAUSE);
    let mut options = ConnectOptions::new()
        .name("kneepoint")
        .connection_timeout(PATIENCE)
        .require_tls(address.is_tls())
        .reconnect_delay_callback(pause)
        .event_callback(move |event| {
            if matches!(event, Event::Connected) {
                count.send_modify(|count| *count += 1);
            }
            std::future::ready(())
        });
    if let Some(ca) = &address.ca {
        options = options.add_root_certificates(ca.clone());
    }
    if let Some(path) = &address.credentials {
        options = options.credentials_file(path).await.map_err(|error| {
            wrong(
                format!("cannot read the credentials in `{}`: {error}", path.display()),
                "give a file that `nsc generate creds` or your server's administrator made",
            )
        })?;
    }
    if let Some(path) = &address.nkey {
        let seed = std::fs::read_to_string(path).map_err(|error| {
            wrong(
                format!("cannot read the NKEY in `{}`: {error}", path.display()),
                "check the path",
            )
        })?;
        options = options.nkey(seed.trim().to_owned());
    }
    let connecting = async_nats::connect_with_options(address.reveal(), options);
    match tokio::time::timeout(2 * PATIENCE, connecting).await {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(error)) => Err(refused(address, &error)),
        Err(_) => Err(wrong(
            format!("the bus {address} does not answer within {} s", 2 * PATIENCE.as_secs()),
            "check its address and port, and the firewalls on the way",
        )),
    }
}

/// Why there is no connection. The client's own words may hold the URL, so only known ones are shown.
fn refused(address: &BusAddress, error: &ConnectError) -> LinkError {
    let cause = error.source().map(|cause| cause.to_string().to_lowercase()).unwrap_or_default();
    let host = address.host();
    let is_unknown = ["lookup", "resolve", "name or service", "no address"];
    match error.kind() {
        ConnectErrorKind::Dns => unknown_host(address),
        _ if is_unknown.iter().any(|word| cause.contains(word)) => unknown_host(address),
        ConnectErrorKind::AuthorizationViolation => wrong(
            format!("the bus {address} refuses this user, password or key"),
            "check the user and password in the URL, or name a file with `--bus-credentials` or \
             `--bus-nkey`",
        ),
        ConnectErrorKind::Authentication => wrong(
            format!("cannot sign in at the bus {address}: the key cannot be used"),
            "check the file of `--bus-credentials` or `--bus-nkey`: an NKEY's seed begins with `SU`",
        ),
        ConnectErrorKind::Tls => wrong(
            format!("no encrypted connection to the bus {address}"),
            "name the certificate of its authority with `--bus-ca`, and use `tls://` only where the \
             server has TLS",
        ),
        _ if cause.contains("refused") => wrong(
            format!("nobody listens at the bus {address}"),
            "start it (`nats-server -js`), or check its host and port",
        ),
        _ if cause.contains("certificate") || cause.contains("tls") => wrong(
            format!("no encrypted connection to the bus {address}"),
            "name the certificate of its authority with `--bus-ca`",
        ),
        ConnectErrorKind::TimedOut => wrong(
            format!("the bus {address} does not answer within {} s", PATIENCE.as_secs()),
            "check its address and port, and the firewalls on the way",
        ),
        kind => wrong(
            format!("cannot connect to the bus {address}: {kind}"),
            &format!("check that a NATS server listens there: `nats-server -js` on {host}"),
        ),
    }
}

fn unknown_host(address: &BusAddress) -> LinkError {
    wrong(
        format!("the host of the bus {address} is not known: `{}` has no address", address.host()),
        "check the name of the host",
    )
}

/// Another version, or a server without JetStream.
fn check(client: &Client, address: &BusAddress) -> Result<(), LinkError> {
    let info = client.server_info();
    let (major, minor) = OLDEST_SERVER;
    if !client.is_server_compatible(major, minor, 0) {
        let version: String = info.version.chars().filter(|c| !c.is_control()).take(40).collect();
        return Err(wrong(
            format!(
                "the bus {address} is NATS {version}, and kneepoint needs {major}.{minor} or newer"
            ),
            "install a newer nats-server; a shared one should be 2.9.23 or newer (CVE-2023-47090)",
        ));
    }
    Ok(())
}

/// What a server says of JetStream for this user.
#[derive(Deserialize)]
struct Account {
    #[serde(default)]
    error: Option<async_nats::jetstream::Error>,
}

async fn check_storage(jetstream: &Context, address: &BusAddress) -> Result<(), LinkError> {
    // The client's own question needs what a server of this age does not say of an account.
    let asked = jetstream.request::<_, _, Account>("INFO", &());
    let why = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(Account { error: None })) => return Ok(()),
        Ok(Ok(Account { error: Some(error) })) => format!(": {error}"),
        Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => String::new(),
        Ok(Err(error)) => format!(" ({})", error.kind()),
        Err(_) => " (no answer)".to_owned(),
    };
    Err(wrong(
        format!("the bus {address} has no JetStream for this user{why}"),
        "start the server with `-js` and a directory `-sd`, or enable JetStream for the account",
    ))
}
