//! Lines of the logs in which servers write down requests, in the common and the combined format
//! and with more behind it. Plans are made of them, and results are read from them.

mod combined;
mod fields;
mod rewritten;
mod target;
mod times;

pub(crate) use self::combined::{Line, asked, method_and_target, read, time};
pub(crate) use self::fields::fields;
pub(crate) use self::rewritten::Rewriter;
pub(crate) use self::target::{grouped, path, unescaped, varies};
pub(crate) use self::times::{Stamp, Times, Untimed};
