//! The one macro that makes "one new file and one line" true: it declares the modules of a
//! registry and builds its table from the same list.

/// Declares each module named in the list and a static slice of their `SPEC`s, in that order.
///
/// `cargo fmt` does not follow modules declared in a macro: format with
/// `rustfmt $(git ls-files '*.rs')`, as the CI script does.
macro_rules! registry {
    ($(#[$meta:meta])* $vis:vis static $name:ident: [$spec:ty] = [
        $($(#[$entry:meta])* $module:ident),* $(,)?
    ]) => {
        $($(#[$entry])* mod $module;)*
        $(#[$meta])*
        $vis static $name: &[&$spec] = &[$($(#[$entry])* &$module::SPEC),*];
    };
}
pub(crate) use registry;
