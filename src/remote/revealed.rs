//! A secret on its way to the one node that needs it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::plan::Secret;

/// A secret that is revealed to one node, and prints as `***`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Revealed(pub(super) Secret);

impl Serialize for Revealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.reveal())
    }
}

impl<'de> Deserialize<'de> for Revealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}
