//! The `[[websocket]]` tables.

use super::client::{read_backoff, read_drop};
use super::names::KnownNames;
use super::request::{read_headers, read_name, read_path};
use super::template;
use super::walk::{Section, Value, Walk};
use crate::plan::{Backoff, Body, Message, Request, WebSocket};

pub(super) fn read(root: &mut Section<'_, '_>, names: &KnownNames<'_>) -> Vec<WebSocket> {
    let walk = root.walk;
    let tables = root.tables("websocket").unwrap_or_default();
    if let Some(surplus) = tables.get(WebSocket::MOST) {
        walk.wrong_with_help(
            surplus.span(),
            format!("a plan has at most {} `[[websocket]]` tables", WebSocket::MOST),
            "merge tables that do the same, and raise `sessions`",
        );
    }
    walk.named(
        tables,
        |value| read_one(walk, value, names),
        |websocket| &websocket.request.name,
        (
            "another `[[websocket]]` is already",
            "give each `[[websocket]]` its own `name`: results are reported under it",
        ),
    )
}

fn read_one<'t>(walk: &Walk<'t>, value: &Value<'t>, names: &KnownNames<'_>) -> Option<WebSocket> {
    let mut section = walk.section(value, "a table `[[websocket]]`")?;
    let name = section.take("name").and_then(|value| read_name(walk, value));
    let path =
        section.require("path", "path = \"/ws\"").and_then(|value| read_path(walk, value, names));
    let headers = read_headers(&mut section, names);
    let sessions =
        section.require("sessions", "sessions = 100").and_then(|value| read_sessions(walk, value));
    let open_rate = section
        .take("open_rate")
        .map_or(Some(WebSocket::USUAL_OPEN_RATE), |value| walk.rate(value));
    let message = read_message(&mut section, names);
    let drop = section.take("drop").map(|value| read_drop(walk, value));
    let backoff =
        section.take("backoff").map_or(Some(Backoff::usual()), |value| read_backoff(walk, value));
    section.finish();
    let path = path?;
    let name = name.unwrap_or_else(|| String::from(path.clone()));
    let request = Request { headers, ..Request::get(name, path) };
    Some(WebSocket {
        request,
        sessions: sessions?,
        open_rate: open_rate?,
        message: message.ok()?,
        drop: match drop {
            Some(drop) => Some(drop?),
            None => None,
        },
        backoff: backoff?,
    })
}

fn read_sessions(walk: &Walk<'_>, value: &Value<'_>) -> Option<usize> {
    let sessions = walk.integer(value, "a number of sessions such as `100`")?;
    match usize::try_from(sessions) {
        Ok(sessions) if (1..=WebSocket::MOST_SESSIONS).contains(&sessions) => Some(sessions),
        _ => {
            walk.wrong(
                value.span(),
                format!("`sessions` must be between 1 and {}", WebSocket::MOST_SESSIONS),
            );
            None
        }
    }
}

/// What the sessions send; an error if a mistake in it was noted.
fn read_message(
    section: &mut Section<'_, '_>,
    names: &KnownNames<'_>,
) -> Result<Option<Message>, ()> {
    let walk = section.walk;
    let message = section.take("message");
    let interval = section.take("interval");
    let expect = section.take("expect");
    let Some(message) = message else {
        return match interval.or(expect) {
            None => Ok(None),
            Some(value) => {
                walk.wrong_with_help(
                    value.span(),
                    "`interval` and `expect` have no effect without `message`",
                    "add `message = \"ping\"`",
                );
                Err(())
            }
        };
    };
    let template = template::read(walk, message, "a string", names).ok_or(())?;
    let interval =
        interval.map_or(Some(WebSocket::USUAL_INTERVAL), |value| walk.duration(value)).ok_or(())?;
    let expect = expect.map_or(Some(true), |value| walk.switch(value)).ok_or(())?;
    Ok(Some(Message { text: Body { template }, interval, expect }))
}
