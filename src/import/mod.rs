//! Results of other tools, read as recordings: one file a format.
