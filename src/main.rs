//! The `kneepoint` program: everything it does is in [`kneepoint::cli`].

fn main() {}
