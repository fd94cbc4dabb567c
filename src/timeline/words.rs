//! What systems say in words: failing responses and log lines. The table of well-known sentences,
//! the form in which two texts count as the same, and the masking of secrets.

mod masking;
mod sentences;
mod text_template;

pub use masking::{is_secret_name, mask_secrets};
pub use sentences::{SentenceKind, sentence_kind};
pub use text_template::{cut, text_template};
