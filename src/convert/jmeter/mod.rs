//! JMeter's test plans (<https://jmeter.apache.org/usermanual/component_reference.html>): its
//! thread groups are journeys with their virtual users, its samplers the steps.

mod groups;
mod plan;
mod props;
mod reader;
mod response;
mod sampler;
mod scope;
mod texts;

use self::props::TREE;
use self::reader::PlanReader;
use self::scope::Scope;
use super::artifact::Artifact;
use super::draft::Draft;
use super::http::{Names, OneTarget};
use super::values::Values;
use super::xml;
use super::{ConvertError, ConverterSpec};

pub(super) static SPEC: ConverterSpec = ConverterSpec {
    name: "jmeter",
    summary: "JMeter test plans (.jmx): journeys, and virtual users or rates of thread groups",
    options: &[],
    looks: |begin| begin.trim_start().starts_with('<') && begin.contains("<jmeterTestPlan"),
    convert,
};

fn convert(artifact: &mut Artifact<'_>) -> Result<Draft, ConvertError> {
    let text = artifact.text()?;
    let root = xml::read(&text)?;
    drop(text);
    if root.tag != "jmeterTestPlan" {
        let text = format!("expected `<jmeterTestPlan>`, found `<{}>`", root.tag.escape_debug());
        return Err(ConvertError::at(root.line, None, text));
    }
    let tree = root.children.iter().find(|child| child.tag == TREE);
    let tree = tree.map_or(&[][..], |tree| &tree.children);
    let off = props::switched_off(tree);
    if off > 0 {
        artifact.notes.add(format!("left out {off} elements that are switched off"));
    }
    let mut reader = PlanReader {
        artifact,
        values: Values::default(),
        draft: Draft::default(),
        target: OneTarget::default(),
        names: Names::default(),
        journeys: Names::default(),
        follows_redirects: false,
    };
    let mut all = Vec::new();
    props::all(tree, &mut all);
    all.into_iter().for_each(|item| reader.define(item));
    reader.thread_groups(tree, &Scope::default());
    finish(reader)
}

fn finish(reader: PlanReader<'_, '_>) -> Result<Draft, ConvertError> {
    let PlanReader { artifact, values, mut draft, target, follows_redirects, .. } = reader;
    // The arguments of a function may be secret.
    let shown = |call: &str| match call.split_once('(') {
        Some((name, _)) => format!("${{{name}(…)}}"),
        None => format!("${{{call}}}"),
    };
    values.finish(&mut draft, &mut artifact.notes, shown);
    if draft.journeys.is_empty() {
        let text = "the test plan holds no thread group with an HTTP request that is switched on";
        return Err(ConvertError::Empty(text.to_owned()));
    }
    artifact.seen.push(format!("{} thread groups with requests", draft.journeys.len()));
    draft.url = target.base;
    draft.comments.push(
        "JMeter's timers pause before a request; the plan pauses after it, as long.".to_owned(),
    );
    if follows_redirects {
        let text =
            "JMeter follows redirects and sends a request to where they lead; a plan does not.";
        draft.comments.push(text.to_owned());
    }
    draft.settle_scenarios();
    Ok(draft)
}
