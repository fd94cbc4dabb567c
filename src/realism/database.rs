//! The test's database against production's.

use std::collections::BTreeSet;

use super::gap::{Gap, GapKind, Realism};
use crate::collect::{Inventory, StoredTable};

/// Tables whose rows differ by less than this factor are alike: plans of statements change with the
/// order of magnitude.
const ALIKE: f64 = 4.0;
/// A table with fewer rows on both sides is read whole either way: it fits into a few blocks of 8 kB.
const SMALL: f64 = 1000.0;
/// Tables of one kind of gap that are told.
const TOLD: usize = 20;

/// What each setting changes, for those where a difference hides something.
const EFFECTS: [(&str, &str); 22] = [
    ("autovacuum", "bloat and stale statistics"),
    ("checkpoint_timeout", "stalls while checkpoints write"),
    ("default_statistics_target", "which plan a statement gets"),
    ("default_transaction_isolation", "serialization failures and how long locks are kept"),
    ("deadlock_timeout", "how long deadlocks last"),
    ("effective_cache_size", "whether the planner prefers an index"),
    ("effective_io_concurrency", "reads ahead of bitmap scans"),
    ("fsync", "the time of every commit: with `off` a commit does not wait for the disk"),
    ("full_page_writes", "how much is written after each checkpoint"),
    ("idle_in_transaction_session_timeout", "how long a forgotten transaction holds its locks"),
    ("jit", "long statements that are compiled first"),
    ("lock_timeout", "how long a statement waits for a lock before it fails"),
    ("maintenance_work_mem", "how long vacuum and index builds take"),
    ("max_connections", "refused connections"),
    ("max_parallel_workers_per_gather", "scans that use several cores"),
    ("max_wal_size", "how often checkpoints come under writes"),
    ("random_page_cost", "whether the planner prefers an index"),
    ("shared_buffers", "how much is read from disk"),
    ("statement_timeout", "statements that are cancelled"),
    ("synchronous_commit", "the time of every commit"),
    ("wal_compression", "how much is written"),
    ("work_mem", "sorts and hashes that spill to disk"),
];

/// Holds the test's database against production's: the tables that statements of production touch,
/// and what decides how statements run.
pub fn compare(production: &Inventory, test: &Inventory) -> Realism {
    let mut realism = Realism::default();
    version(production, test, &mut realism);
    let touched = touched(production, &mut realism);
    sizes(production, test, &touched, &mut realism);
    indexes(production, test, &touched, &mut realism);
    settings(production, test, &mut realism);
    realism
}

fn version(production: &Inventory, test: &Inventory, realism: &mut Realism) {
    let major = |version: &str| version.split('.').next().unwrap_or_default().to_owned();
    if major(&production.version) != major(&test.version) {
        realism.gaps.push(Gap {
            kind: GapKind::Version,
            seen: format!(
                "production has PostgreSQL {}, the test has {}",
                production.version, test.version
            ),
            hides: "other plans, other defaults, other bugs".to_owned(),
            close: format!("test with PostgreSQL {}", major(&production.version)),
        });
    }
}

/// The tables that production's statements name, or, where statements are not known, that were
/// scanned.
fn touched<'i>(production: &'i Inventory, realism: &mut Realism) -> BTreeSet<&'i str> {
    let names = production.tables.keys().map(String::as_str);
    let Some(statements) = production.statements.as_ref().filter(|all| !all.is_empty()) else {
        realism.notes.push(
            "production has no pg_stat_statements that this role can read: every table that was scanned \
             is compared"
                .to_owned(),
        );
        return names
            .filter(|name| production.tables.get(*name).is_some_and(|it| it.scans > 0.0))
            .collect();
    };
    let words: BTreeSet<String> = statements
        .iter()
        .flat_map(|text| text.split(|c: char| !(c.is_alphanumeric() || c == '_')))
        .map(str::to_lowercase)
        .collect();
    let is_named = |name: &&str| {
        let table = name.rsplit('.').next().unwrap_or(name);
        words.contains(&table.to_lowercase())
    };
    names.filter(is_named).collect()
}

fn sizes(
    production: &Inventory,
    test: &Inventory,
    touched: &BTreeSet<&str>,
    realism: &mut Realism,
) {
    let mut found: Vec<(f64, Gap)> = Vec::new();
    for name in touched {
        let Some(theirs) = production.tables.get(*name) else { continue };
        let Some(ours) = test.tables.get(*name) else {
            found.push((f64::INFINITY, absent(name, theirs)));
            continue;
        };
        if theirs.rows.max(ours.rows) < SMALL {
            continue;
        }
        let factor = theirs.rows.max(1.0) / ours.rows.max(1.0);
        if factor < ALIKE && factor > 1.0 / ALIKE {
            continue;
        }
        let hides = match factor > 1.0 {
            true => {
                "plans that scan the table, reads that do not fit into memory, and indexes that are \
                     deeper there"
            }
            false => "how quick production is: the test reads more than production does",
        };
        let gap = Gap {
            kind: GapKind::TableSize,
            seen: format!(
                "{name}: {} rows ({}) in the test, {} rows ({}) in production",
                grouped(ours.rows),
                bytes(ours.bytes),
                grouped(theirs.rows),
                bytes(theirs.bytes)
            ),
            hides: hides.to_owned(),
            close: format!(
                "fill {name} to about {} rows, then run `analyze`",
                grouped(theirs.rows)
            ),
        };
        found.push((factor.max(1.0 / factor), gap));
    }
    found.sort_by(|one, other| other.0.total_cmp(&one.0));
    let more = found.len().saturating_sub(TOLD);
    realism.gaps.extend(found.into_iter().take(TOLD).map(|(_, gap)| gap));
    if more > 0 {
        realism.notes.push(format!("{more} more tables are of another size"));
    }
}

fn absent(name: &str, theirs: &StoredTable) -> Gap {
    Gap {
        kind: GapKind::TableSize,
        seen: format!(
            "{name}: not in the test, {} rows ({}) in production",
            grouped(theirs.rows),
            bytes(theirs.bytes)
        ),
        hides: "every statement on it".to_owned(),
        close: format!("create and fill {name} in the test's database"),
    }
}

fn indexes(
    production: &Inventory,
    test: &Inventory,
    touched: &BTreeSet<&str>,
    realism: &mut Realism,
) {
    for name in touched {
        let tables = production.tables.get(*name).zip(test.tables.get(*name));
        let Some((theirs, ours)) = tables else { continue };
        let mut push = |index: &str, here: &str, there: &str, hides: &str, close: String| {
            realism.gaps.push(Gap {
                kind: GapKind::Index,
                seen: format!("{name}: the index {index} is in {here} and not in {there}"),
                hides: hides.to_owned(),
                close,
            });
        };
        for index in ours.indexes.difference(&theirs.indexes) {
            let hides = "slow statements: production scans where the test looks up";
            push(
                index,
                "the test",
                "production",
                hides,
                format!("drop it in the test, or {}", create(name, index)),
            );
        }
        for index in theirs.indexes.difference(&ours.indexes) {
            let hides = "what writes cost with this index; and the test is slower where it is read";
            push(index, "production", "the test", hides, create(name, index));
        }
    }
}

/// The statement that makes an index in the form of an inventory.
fn create(table: &str, index: &str) -> String {
    match index.strip_prefix("unique ") {
        Some(form) => format!("create unique index on {table} using {form}"),
        None => format!("create index on {table} using {index}"),
    }
}

fn settings(production: &Inventory, test: &Inventory, realism: &mut Realism) {
    for (name, effect) in EFFECTS {
        let pair = production.settings.get(name).zip(test.settings.get(name));
        let Some((theirs, ours)) = pair.filter(|(theirs, ours)| theirs != ours) else { continue };
        realism.gaps.push(Gap {
            kind: GapKind::Setting,
            seen: format!("{name} is {ours} in the test and {theirs} in production"),
            hides: effect.to_owned(),
            close: format!("alter system set {name} = '{theirs}'"),
        });
    }
}

/// `340,000`.
fn grouped(rows: f64) -> String {
    let digits = format!("{:.0}", rows.max(0.0));
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn bytes(value: f64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let mut value = value / 1000.0;
    for unit in UNITS {
        if value < 1000.0 || unit == "TB" {
            return format!("{value:.0} {unit}");
        }
        value /= 1000.0;
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(rows: f64, indexes: &[&str]) -> Inventory {
        let table = StoredTable {
            rows,
            bytes: rows * 100.0,
            indexes: indexes.iter().map(|it| (*it).to_owned()).collect(),
            scans: 1.0,
        };
        let settings = EFFECTS.iter().map(|(name, _)| ((*name).to_owned(), "on".to_owned()));
        Inventory {
            version: "16.4".to_owned(),
            settings: settings.collect(),
            tables: [("public.Product".to_owned(), table.clone()), ("x.unused".to_owned(), table)]
                .into(),
            statements: Some(vec!["SELECT * FROM product WHERE id = $1".to_owned()]),
            ..Inventory::default()
        }
    }

    #[test]
    fn only_tables_that_statements_name_are_compared() {
        let gaps = compare(&database(340_000.0, &[]), &database(12_000.0, &[])).gaps;
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert_eq!(
            gaps[0].seen,
            "public.Product: 12,000 rows (1 MB) in the test, 340,000 rows (34 MB) in production"
        );
        let alike = compare(&database(340_000.0, &[]), &database(300_000.0, &[]));
        assert!(alike.gaps.is_empty() && alike.notes.is_empty());
        let small = compare(&database(900.0, &[]), &database(9.0, &[]));
        assert!(small.gaps.is_empty());
    }

    #[test]
    fn indexes_settings_and_versions_differ_in_both_directions() {
        let production = database(10.0, &["btree (a)", "unique btree (b)"]);
        let mut test = database(10.0, &["btree (a)", "btree (c)"]);
        test.version = "14.2".to_owned();
        test.settings.insert("fsync".to_owned(), "off".to_owned());
        let gaps = compare(&production, &test).gaps;
        let kinds: Vec<GapKind> = gaps.iter().map(|gap| gap.kind).collect();
        use GapKind::{Index, Setting, Version};
        assert_eq!(kinds, [Version, Index, Index, Setting]);
        assert_eq!(gaps[2].close, "create unique index on public.Product using btree (b)");
        let without = Inventory { tables: [].into(), ..database(10.0, &[]) };
        assert!(compare(&production, &without).gaps[0].seen.contains("not in the test"));
        let unknown = Inventory { statements: None, ..production };
        assert_eq!(compare(&unknown, &unknown).notes.len(), 1);
    }
}
