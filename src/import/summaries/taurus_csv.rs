//! Taurus' final statistics as CSV: a row a label.

use super::SummarySpec;
use super::summary::Summary;
use super::taurus::{Group, KPI, summary};
use crate::import::error::ImportError;
use crate::import::table::{Style, each_row, first_cells};

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "taurus-csv",
    summary: "Taurus' final statistics as CSV: `dump-csv` of the module final-stats",
    instead: KPI,
    looks_like: |begin| {
        let cells = first_cells(begin, ',');
        cells.first() == Some(&"label") && NAMES.iter().all(|name| cells.contains(name))
    },
    read,
};

/// Columns that every version has.
const NAMES: &[&str] = &["avg_rt", "throughput", "fail", "succ"];

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let names = first_cells(text, ',');
    let style = Style { delimiter: b',', quotes: true };
    let mut groups = Vec::new();
    let cut = each_row(&mut text.as_bytes(), &style, None, |row| {
        let mut group = Group::labelled(row.text("label").into_owned());
        for (place, name) in names.iter().enumerate() {
            let (key, param) = name
                .split_once('_')
                .filter(|(key, _)| matches!(*key, "perc" | "rc"))
                .unwrap_or((name, ""));
            group.take(key, param, &row.at(place))?;
        }
        groups.push(group);
        Ok(())
    })?;
    let mut run = summary(groups)?;
    cut.into_iter().for_each(|note| run.warn(note));
    run.warn(
        "the file counts requests without an answer under a code of an answer, and does not say \
         how long the run took: the codes and the failures cannot be added up, and there is no rate",
    );
    Ok(vec![run])
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::assert_expected;

    #[test]
    fn the_total_may_be_any_row() {
        let runs = assert_expected("taurus.sample.csv", "taurus-csv");
        assert_eq!(runs[0].counts.get("concurrency"), Some(&8));
    }
}
