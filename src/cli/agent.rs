//! `agent`: collects here for a run elsewhere.

use std::io::{self, IsTerminal};

use super::console::say;
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use crate::remote::{AgentEnd, serve_agent};

pub(super) fn main() -> CommandResult {
    if io::stdin().is_terminal() {
        say(format_args!(
            "kneepoint: an agent talks to the kneepoint that started it, over standard input and \
             output; name this command in `--agent` or `[[agent]]` of a run. Waiting for a greeting \
             that nobody will type; end it with Ctrl-C."
        ));
    }
    // Nothing else prints: standard output belongs to the protocol.
    let end = serve_agent(io::stdin(), io::stdout());
    match end.map_err(|error| CliError::failed(format!("cannot start a thread: {error}")))? {
        AgentEnd::Stopped => Ok(ExitStatus::Done),
        AgentEnd::Refused => Ok(ExitStatus::Preflight),
        AgentEnd::Gone(why) => Err(CliError::failed(format!("the agent ends: {why}"))),
    }
}
