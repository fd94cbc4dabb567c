//! The right name that a wrong one was probably meant to be.

/// ``did you mean `…`?``, where one of the `right` names is near.
pub fn nearest<'n>(name: &str, right: impl IntoIterator<Item = &'n str>) -> Option<String> {
    let name = name.to_lowercase();
    let likeness = |right: &str| match strsim::osa_distance(&name, right) {
        // One slip of the finger, which weighs too much in a short name and too little in a long one.
        0 => 1.0,
        1 => 0.99,
        _ => strsim::jaro_winkler(&name, right).min(0.98),
    };
    right
        .into_iter()
        .map(|right| (likeness(right), right))
        .filter(|(likeness, _)| *likeness >= 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, right)| format!("did you mean `{right}`?"))
}
