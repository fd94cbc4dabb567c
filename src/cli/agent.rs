//! `agent`: collects here for a run elsewhere.

use std::io::{self, IsTerminal};

use super::args::AgentArgs;
use super::bus::{dial, hang_up};
use super::console::say;
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use crate::remote::{AgentEnd, NodeCarrier, Role, serve_agent};

pub(super) fn main(args: &AgentArgs) -> CommandResult {
    let name = args.name.as_deref().unwrap_or_default();
    if args.node.bus.bus.is_some() && name.is_empty() {
        return Err(CliError::usage("an agent that dials in needs its name in the plan")
            .with_hint("write `--name db1` for the plan's `[[agent]]` with `name = \"db1\"`"));
    }
    if let Some((node, carrier)) = dial(&args.node, Role::Agent, name)? {
        return match serve(carrier) {
            Ok(status) => hang_up(node, status),
            // Why it ends is worth more than what the bus has not acknowledged.
            Err(error) => hang_up(node, ExitStatus::Failed).and(Err(error)),
        };
    }
    if io::stdin().is_terminal() {
        say(format_args!(
            "kneepoint: an agent talks to the kneepoint that started it, over standard input and \
             output; name this command in `--agent` or `[[agent]]` of a run. Waiting for a greeting \
             that nobody will type; end it with Ctrl-C."
        ));
    }
    // Nothing else prints: standard output belongs to the protocol.
    serve(NodeCarrier::stdio(io::stdin(), io::stdout()))
}

fn serve(carrier: NodeCarrier) -> CommandResult {
    let end = serve_agent(carrier);
    match end.map_err(|error| CliError::failed(format!("cannot start a thread: {error}")))? {
        AgentEnd::Stopped => Ok(ExitStatus::Done),
        AgentEnd::Refused => Ok(ExitStatus::Preflight),
        AgentEnd::Gone(why) => Err(CliError::failed(format!("the agent ends: {why}"))),
    }
}
