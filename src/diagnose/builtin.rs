//! The rules that kneepoint ships. To add one: a file in `rules/` and its name here. Their order
//! decides between causes that are equally well confirmed.

macro_rules! rules {
    ($($id:literal),* $(,)?) => {
        /// File name and text of each rule.
        pub const FILES: &[(&str, &str)] = &[$((
            concat!($id, ".toml"),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/rules/", $id, ".toml")),
        )),*];
    };
}

rules!["cpu-saturated",];
