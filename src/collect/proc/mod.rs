//! Reading /proc and /sys of this machine: pure parsers of their texts, and the finder that
//! follows the processes of the target. Several collectors share it.

pub mod tree;
