//! Sends messages to a stream until the server has acknowledged them, in their order.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;

use super::subject::PLACE;

/// Pause before a message that was not acknowledged is sent again.
const PAUSE: Duration = Duration::from_millis(200);
/// How long an acknowledgement may take. It takes a millisecond, or the server is away.
const ACKNOWLEDGED: Duration = Duration::from_secs(2);

/// A message of a stream.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) subject: String,
    /// What makes it the same message when it is sent again.
    pub(super) id: String,
    /// Its place among those of the subject.
    pub(super) place: u64,
    pub(super) bytes: Bytes,
}

/// Sends once. Returns why the server did not acknowledge.
pub(super) async fn try_store(jetstream: &Context, message: &Stored) -> Result<(), String> {
    let publish = PublishMessage::build()
        .payload(message.bytes.clone())
        .message_id(&message.id)
        .header(PLACE, message.place.to_string().as_str());
    let sent = async {
        let ack = jetstream.send_publish(message.subject.clone(), publish).await;
        ack.map_err(|error| error.to_string())?.await.map_err(|error| error.to_string())
    };
    match tokio::time::timeout(ACKNOWLEDGED, sent).await {
        Ok(sent) => sent.map(drop),
        Err(_) => Err("the server does not answer".to_owned()),
    }
}

/// Sends until the server has acknowledged.
pub(super) async fn store(jetstream: &Context, message: &Stored) {
    while try_store(jetstream, message).await.is_err() {
        tokio::time::sleep(PAUSE).await;
    }
}
