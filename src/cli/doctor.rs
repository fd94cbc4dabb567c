//! `doctor`: what this machine lets kneepoint see, and what one command would add.

use super::args::{DoctorArgs, PageFormat};
use super::console::{print, width, wrapped};
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use super::init::{refused, url_of};
use crate::collect::{Opening, locate};
use crate::plan::Plan;
use crate::report::wording;
use crate::survey::address_of;
use crate::survey::doctor::{Checked, Patient, State, examine};

pub(super) fn main(args: &DoctorArgs) -> CommandResult {
    let patient = match (&args.service, args.pid) {
        (_, Some(pid)) => Patient::of_pid(pid).map_err(refused)?,
        (Some(service), None) => of_service(&url_of(service))?,
        (None, None) => Patient::default(),
    };
    let all = examine(&patient);
    let text = match args.format {
        PageFormat::Terminal => page(&all, width()),
        PageFormat::Json => {
            let text = serde_json::to_string_pretty(&serde_json::json!({ "checks": all }));
            text.map_err(CliError::failed)? + "\n"
        }
    };
    print(text.as_bytes())?;
    let is_whole = all.iter().all(|one| one.state == State::Ok);
    Ok(if is_whole { ExitStatus::Done } else { ExitStatus::Inconclusive })
}

fn of_service(url: &str) -> Result<Patient, CliError> {
    let plan = Plan::for_url(url, Vec::new()).map_err(CliError::usage)?;
    let target = &plan.target.url;
    let address = address_of(target).map_err(CliError::usage)?;
    let located = locate(address, if target.https { Opening::Tls } else { Opening::Http1 });
    if !located.is_local {
        return Err(CliError::new(
            ExitStatus::Preflight,
            format!("`{}` does not run on this machine", target.with_port()),
        )
        .with_hint("run `kneepoint doctor` on the machine of the service, or without a URL"));
    }
    Patient::of_port(located.port, located.network).map_err(refused)
}

fn page(all: &[Checked], width: usize) -> String {
    let (fine, lacking): (Vec<&Checked>, Vec<&Checked>) =
        all.iter().partition(|one| one.state == State::Ok);
    let names = all.iter().map(|one| one.about.len()).max().unwrap_or(0);
    let mut text = String::new();
    for one in &fine {
        text.push_str(&format!("ok       {:names$}  {}\n", one.about, one.seen));
    }
    for one in &lacking {
        text.push_str(&format!("missing  {:names$}  {}\n", one.about, one.seen));
        for (word, body) in [("costs", &one.costs), ("add", &one.add)] {
            let body = wrapped(body, width.saturating_sub(16).max(40));
            text.push_str(&format!(
                "         {word:5}  {}\n",
                body.replace('\n', "\n                ")
            ));
        }
    }
    let count = wording::plural(lacking.len() as u64, "thing is", "things are");
    text.push_str(&match lacking.len() {
        0 => "\nNothing is missing here.\n".to_owned(),
        _ => format!("\n{count} missing here.\n"),
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_stands_last_with_its_cost() {
        let of = |id, state, costs: &str| Checked {
            id,
            about: id,
            state,
            seen: "seen".to_owned(),
            costs: costs.to_owned(),
            add: costs.to_owned(),
        };
        let text = page(&[of("b", State::Missing, "much"), of("a", State::Ok, "")], 80);
        let expected = "ok       a  seen\nmissing  b  seen\n         costs  much\n         add    \
                        much\n\n1 thing is missing here.\n";
        assert_eq!(text, expected);
    }
}
