//! What to read of a stored history, as a file says it.

use super::Secret;

/// The options of `kneepoint import prometheus` and `kneepoint coverage --prometheus`.
#[derive(Clone, Debug, Default)]
pub struct HistoryFile {
    /// Where the server is; may hold a user and a password.
    pub url: Option<Secret>,
    /// Selectors of the service that answers the requests.
    pub target: Vec<String>,
    /// Selectors of its machine.
    pub host: Vec<String>,
    /// Selectors of its database.
    pub database: Vec<String>,
    /// Selectors of services that it calls.
    pub downstream: Vec<String>,
    /// Begin, as typed.
    pub from: Option<String>,
    /// End, as typed.
    pub to: Option<String>,
    /// Further headers.
    pub headers: Vec<(String, Secret)>,
    /// Token for the header `Authorization: Bearer`.
    pub bearer: Option<Secret>,
    /// PEM file of the authority that signed the server's certificate.
    pub ca_file: Option<String>,
    /// PEM file of kneepoint's own certificate.
    pub cert_file: Option<String>,
    /// PEM file of the key of that certificate.
    pub key_file: Option<String>,
    /// Access logs.
    pub access_log: Vec<String>,
    /// Logs of databases and machines.
    pub log: Vec<String>,
    /// CSV files.
    pub csv: Vec<String>,
    /// The file that says what their columns mean.
    pub map: Option<String>,
    /// Zone of times in logs that have none.
    pub log_zone: Option<String>,
    /// Directory for the recording.
    pub out: Option<String>,
}
