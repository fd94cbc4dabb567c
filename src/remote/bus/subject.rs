//! The subjects of one run.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::address::RunName;
use crate::remote::message::Role;

/// How long a run stays on the bus.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Messages with the same number that come within this time count once. A node sends again what a
/// server that was away has not acknowledged.
const DUPLICATES: Duration = Duration::from_secs(600);
/// The header with the place of a message: of a node's messages its number, of the recording its
/// first byte.
pub(super) const PLACE: &str = "Kneepoint-Place";

/// Names of the subjects of one run.
#[derive(Clone, Debug)]
pub(super) struct Subjects {
    run: String,
}

/// Who wrote to a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sender {
    pub(super) role: Role,
    /// What it was told to call itself; may be empty.
    pub(super) name: String,
    /// Drawn by each process, so that one that starts again is another.
    pub(super) token: String,
}

impl Subjects {
    pub(super) fn of(run: &RunName) -> Self {
        Self { run: run.as_str().to_owned() }
    }

    /// The stream's name.
    pub(super) fn stream(&self) -> String {
        format!("kneepoint-{}", self.run)
    }

    /// Everything that is stored.
    pub(super) fn stored(&self) -> String {
        format!("kneepoint.{}.>", self.run)
    }

    /// The coordinator's claim to the run: there is one.
    pub(super) fn claim(&self) -> String {
        format!("kneepoint.{}.coordinator", self.run)
    }

    /// Says that the run is over.
    pub(super) fn end(&self) -> String {
        format!("kneepoint.{}.end", self.run)
    }

    /// The bytes of the recording.
    pub(super) fn recording(&self) -> String {
        format!("kneepoint.{}.recording", self.run)
    }

    /// What all nodes say.
    pub(super) fn said_by_all(&self) -> String {
        format!("kneepoint.{}.from.>", self.run)
    }

    /// What one node says.
    pub(super) fn from(&self, sender: &Sender) -> String {
        let role = match sender.role {
            Role::Agent => "agent",
            Role::Generator => "generator",
        };
        let name = utf8_percent_encode(&sender.name, NON_ALPHANUMERIC);
        // A part of a subject is never empty.
        format!("kneepoint.{}.from.{role}.={name}.{}", self.run, sender.token)
    }

    /// Whose words a subject holds.
    pub(super) fn sender(&self, subject: &str) -> Option<Sender> {
        let rest = subject.strip_prefix(&format!("kneepoint.{}.from.", self.run))?;
        let mut parts = rest.split('.');
        let role = match parts.next()? {
            "agent" => Role::Agent,
            "generator" => Role::Generator,
            _ => return None,
        };
        let name = percent_decode_str(parts.next()?.strip_prefix('=')?).decode_utf8().ok()?;
        let (token, None) = (parts.next()?, parts.next()) else { return None };
        Some(Sender { role, name: name.into_owned(), token: token.to_owned() })
    }

    /// What the coordinator says to one node, and the node may read later: stages.
    pub(super) fn to(&self, token: &str) -> String {
        format!("kneepoint.{}.to.{token}", self.run)
    }

    /// What the coordinator says to one node now: plan, leases, pings. No stream holds it.
    pub(super) fn now(&self, token: &str) -> String {
        format!("kneepoint-now.{}.{token}", self.run)
    }

    /// The stream, with room for so many bytes.
    pub(super) fn config(&self, bytes: i64) -> Config {
        Config {
            name: self.stream(),
            subjects: vec![self.stored()],
            max_bytes: bytes,
            max_age: KEPT,
            duplicate_window: DUPLICATES,
            // What was acknowledged stays: a stream that is full refuses what is new.
            discard: DiscardPolicy::New,
            description: Some(format!("kneepoint run {}", self.run)),
            ..Config::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_says_who_wrote_to_it() {
        let subjects = Subjects::of(&RunName::parse("night").unwrap());
        for name in ["", "db1", "db 1.x>*%"] {
            let sender =
                Sender { role: Role::Agent, name: name.to_owned(), token: "0f".to_owned() };
            let subject = subjects.from(&sender);
            assert_eq!(subject.split('.').count(), 6, "{subject}");
            assert!(!subject.contains(['>', '*', ' ']), "{subject}");
            assert_eq!(subjects.sender(&subject), Some(sender));
        }
        for other in ["kneepoint.other.from.agent.=a.1", "kneepoint.night.recording"] {
            assert_eq!(subjects.sender(other), None);
        }
    }

    #[test]
    fn what_is_meant_for_now_is_not_stored() {
        let subjects = Subjects::of(&RunName::parse("night").unwrap());
        let stored = subjects.stored();
        let prefix = stored.trim_end_matches('>');
        assert!(subjects.to("0f").starts_with(prefix));
        assert!(!subjects.now("0f").starts_with(prefix));
    }
}
