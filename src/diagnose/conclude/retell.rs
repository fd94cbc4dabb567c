//! Tells a finding about the target as one about a service behind it.

use crate::diagnose::measure::services::Service;
use crate::diagnose::terms::model::{Counterfactual, Evidence, Finding, NextLimit};

/// The finding, told as of `service`.
pub fn of_service(finding: Finding, service: &Service) -> Finding {
    let told = |text: &str| in_its_words(text, service);
    let evidence = |all: Vec<Evidence>| -> Vec<Evidence> {
        all.into_iter().map(|one| Evidence { text: told(&one.text), ..one }).collect()
    };
    Finding {
        title: format!("{}: {}", service.name, title(&finding.title)),
        service: Some(service.name.clone()),
        why: told(&finding.why),
        next: told(&finding.next),
        disproved_by: told(&finding.disproved_by),
        evidence: evidence(finding.evidence),
        refutations: evidence(finding.refutations),
        counterfactuals: finding
            .counterfactuals
            .into_iter()
            .map(|answer| counterfactual(answer, &told))
            .collect(),
        ..finding
    }
}

/// A title behind the name of the service: `its CPU is full`.
fn title(text: &str) -> String {
    let text = text.replace(" of the target", "").replace("the target's", "its");
    text.replace("the target", "it")
}

/// A sentence about the target as one about the service.
fn in_its_words(text: &str, service: &Service) -> String {
    let name = service.short_name();
    text.replace("the target", name).replace("The target", name)
}

fn counterfactual(answer: Counterfactual, told: &impl Fn(&str) -> String) -> Counterfactual {
    let limit = |next: NextLimit| NextLimit { name: told(&next.name), ..next };
    match answer {
        Counterfactual::Gone { carries, next, assumption } => {
            Counterfactual::Gone { carries, next: limit(next), assumption: told(&assumption) }
        }
        Counterfactual::Halved { carries, next, assumption } => {
            Counterfactual::Halved { carries, next: next.map(limit), assumption: told(&assumption) }
        }
        Counterfactual::Needed { what, count, now, rate, wait_p99, assumption } => {
            Counterfactual::Needed {
                what,
                count,
                now,
                rate,
                wait_p99,
                assumption: told(&assumption),
            }
        }
        Counterfactual::NoHelp { what, why } => {
            Counterfactual::NoHelp { what: told(&what), why: told(&why) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_and_sentences_name_the_service() {
        assert_eq!(title("the target's CPU is full"), "its CPU is full");
        assert_eq!(title("all workers of the target are busy"), "all workers are busy");
        assert_eq!(title("requests wait inside the target"), "requests wait inside it");
        let service = Service {
            name: "php-fpm (127.0.0.1:9000)".to_owned(),
            addresses: Default::default(),
            is_database: false,
            agent: None,
            is_forwarder: false,
            timeline: Default::default(),
        };
        let told = in_its_words("the target uses more than the target's cores", &service);
        assert_eq!(told, "php-fpm uses more than php-fpm's cores");
    }
}
