//! From text to a [`Plan`], with every mistake at once.

mod canary;
mod collect;
mod load;
mod mask;
mod mistake;
mod objective;
mod request;
mod target;
pub(super) mod template;
#[cfg(test)]
mod tests;
mod walk;
mod websocket;

use toml::de::DeTable;

pub use mistake::{Mistake, PlanErrors};

use self::walk::{Section, Walk};
use super::quick::DEFAULT_SEED;
use super::{CollectorShape, Plan, Target, TargetUrl};

/// Reads a plan. `origin` is the file's name for messages, `shapes` are the collectors that there
/// are, and `environment` looks up the variables that `${NAME}` stands for.
///
/// # Errors
///
/// Every mistake of the text with its place, in order of the text.
pub fn parse(
    text: &str,
    origin: &str,
    shapes: &[CollectorShape],
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Plan, PlanErrors> {
    let (tree, errors) = DeTable::parse_recoverable(text);
    let walk = Walk::new(text, environment);
    let broken = !errors.is_empty();
    for error in errors {
        walk.wrong(error.span().unwrap_or(0..0), error.message());
    }
    let plan = if broken {
        // What follows from broken syntax would bury the cause. The walk still learns where the
        // secrets are.
        let silent = Walk::new(text, environment);
        whole(&silent, silent.table(tree.get_ref(), 0..0), shapes);
        silent.secrets().into_iter().for_each(|span| walk.hide(span));
        None
    } else {
        whole(&walk, walk.table(tree.get_ref(), 0..0), shapes)
    };
    match (walk.errors(origin), plan) {
        (None, Some(plan)) => Ok(plan),
        (Some(errors), _) => Err(errors),
        // Cannot be, as every part that is `None` has noted why; but if it were, no run may start.
        (None, None) => Err(PlanErrors::unexplained(origin)),
    }
}

/// The whole plan; `None` where a part of it is missing, which was noted then.
fn whole<'t>(
    walk: &Walk<'t>,
    mut root: Section<'_, 't>,
    shapes: &[CollectorShape],
) -> Option<Plan> {
    let name = root.take("name").and_then(|value| walk.name(value));
    let seed = root.take("seed").and_then(|value| walk.integer(value, "a whole number"));
    let target = target::read(&mut root);
    let data = request::read_data(&mut root);
    let requests = request::read(&mut root, &data);
    let limits = load::read_limits(&mut root);
    let load = load::read(&mut root, &limits);
    let objectives = objective::read(&mut root, &requests);
    let canaries = canary::read(&mut root, &data, &limits);
    let websockets = websocket::read(&mut root, &data);
    let collectors = collect::read(&mut root, shapes);
    root.finish();
    let (target, (load, arrivals)): (Target, _) = (target?, load?);
    Some(Plan {
        name: name.unwrap_or_else(|| TargetUrl::authority(&target.url)),
        target,
        requests,
        data,
        load,
        arrivals,
        objectives,
        limits,
        canaries,
        websockets,
        collectors,
        seed: seed.unwrap_or(DEFAULT_SEED),
    })
}
