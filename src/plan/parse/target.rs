//! The `[target]` table.

use super::walk::{Section, Value, Walk};
use crate::plan::units::parse_target_url;
use crate::plan::{Connections, Target, Tls};

pub(super) fn read(root: &mut Section<'_, '_>) -> Option<Target> {
    let walk = root.walk;
    let Some(value) = root.take("target") else {
        root.missing("target", "add a table `[target]` with `url = \"http://127.0.0.1:8080\"`");
        return None;
    };
    let mut section = walk.section(value, "a table `[target]`")?;
    let url = section.require("url", "url = \"http://127.0.0.1:8080\"").and_then(|value| {
        if value.get_ref().as_str().is_some_and(|url| url.contains('@')) {
            walk.hide(value.span());
        }
        walk.parsed(value, "an address such as `http://127.0.0.1:8080`", parse_target_url)
    });
    let timeout = section.take("timeout").and_then(|value| walk.duration(value));
    let connections = section.take("connections").and_then(|value| {
        let choices =
            [("keep-alive", Connections::KeepAlive), ("per-request", Connections::PerRequest)];
        walk.choice(value, &choices)
    });
    let tls = section.take("tls").and_then(|value| read_tls(walk, value));
    section.finish();
    let usual = Target::usual(url?);
    Some(Target {
        timeout: timeout.unwrap_or(usual.timeout),
        connections: connections.unwrap_or(usual.connections),
        tls: tls.unwrap_or(Tls::SystemRoots),
        ..usual
    })
}

fn read_tls<'t>(walk: &Walk<'t>, value: &Value<'t>) -> Option<Tls> {
    let mut section = walk.section(value, "a table such as `{ ca_file = \"ca.pem\" }`")?;
    let ca_file =
        section.take("ca_file").and_then(|value| walk.text(value, "the path of a PEM file"));
    let insecure = section.take("insecure").and_then(|value| walk.switch(value)) == Some(true);
    section.finish();
    match (ca_file, insecure) {
        (Some(_), true) => {
            walk.wrong_with_help(
                value.span(),
                "`ca_file` and `insecure` exclude each other",
                "leave `insecure` out to have certificates checked",
            );
            None
        }
        (Some(file), false) => Some(Tls::CaFile(file.value)),
        (None, true) => Some(Tls::Insecure),
        (None, false) => Some(Tls::SystemRoots),
    }
}
