//! Gatling simulations (<https://docs.gatling.io/reference/script/>) in Java, Scala and JavaScript,
//! read and never run: scenarios are journeys, injection profiles the load, assertions the
//! objectives.

mod assertions;
mod chain;
mod checks;
mod classes;
mod dsl;
mod feeder;
mod injection;
mod language;
mod protocol;
mod request;
mod session;
mod set_up;
mod simulation;
mod time;
mod words;

use self::simulation::Simulation;
use super::artifact::Artifact;
use super::draft::Draft;
use super::script::machine::Machine;
use super::script::sources::{self, Sources};
use super::script::{java, javascript, scala};
use super::{ConvertError, ConverterSpec};

pub(super) static SPEC: ConverterSpec = ConverterSpec {
    name: "gatling",
    summary: "Gatling simulations, Java, Scala or JavaScript: scenarios, load and assertions",
    options: &[],
    looks,
    convert,
};

fn looks(begin: &str) -> bool {
    Language::of(begin).is_some()
}

/// What a simulation is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Java,
    Kotlin,
    Scala,
    JavaScript,
}

impl Language {
    /// By its imports: all but Java's end without a semicolon, and Scala has a library of its own.
    fn of(text: &str) -> Option<Self> {
        text.lines().map(str::trim).find_map(|line| {
            let is_module = ["'@gatling.io/", "\"@gatling.io/"].iter().any(|it| line.contains(it));
            // The last line of an import of several lines begins with a brace.
            let is_script = line.starts_with("import") || line.starts_with('}');
            if is_module && (is_script || line.contains("require(")) {
                return Some(Language::JavaScript);
            }
            let name = line.strip_prefix("import ")?.trim_start();
            let name = name.strip_prefix("static ").unwrap_or(name);
            let rest = name.strip_prefix("io.gatling.")?;
            Some(match (rest.starts_with("javaapi."), line.ends_with(';')) {
                (true, true) => Language::Java,
                (true, false) => Language::Kotlin,
                (false, _) => Language::Scala,
            })
        })
    }
}

fn convert(artifact: &mut Artifact<'_>) -> Result<Draft, ConvertError> {
    let text = artifact.text()?;
    let language = match Language::of(&text) {
        Some(Language::Java) => &java::LANGUAGE,
        Some(Language::JavaScript) => &javascript::CHAINED,
        Some(Language::Scala) => &scala::LANGUAGE,
        Some(Language::Kotlin) => {
            let text = "simulations in Kotlin are not read: convert the Java form of it, or run \
                        it and read its results with `kneepoint import simulation.log`";
            return Err(ConvertError::Unfit(text.to_owned()));
        }
        None => {
            let text = "this is not a Gatling simulation: it imports neither `io.gatling` nor \
                        `@gatling.io/core`";
            return Err(ConvertError::Empty(text.to_owned()));
        }
    };
    let origin = &artifact.options.origin;
    let Sources { text, program } =
        sources::read(artifact, text, language).map_err(|why| of_types(why, origin))?;
    let mut machine = Machine::new(artifact, &text, dsl::call);
    words::define_words(&mut machine);
    classes::follow(&mut machine, &program);
    let Some(set_up) = dsl::set_up(&machine) else {
        return Err(classes::without_set_up(&program, &text));
    };
    let mut simulation = Simulation::new(machine);
    simulation.set_up(&set_up)?;
    simulation.finish()
}

/// A mistake in TypeScript is most often a type.
fn of_types(why: ConvertError, origin: &str) -> ConvertError {
    let ConvertError::Malformed(mut problems) = why else { return why };
    if let Some(problem) = problems.first_mut().filter(|_| origin.ends_with(".ts")) {
        problem
            .text
            .push_str("; types of TypeScript are not read: remove them, or compile the file");
    }
    ConvertError::Malformed(problems)
}

#[cfg(test)]
mod tests;
