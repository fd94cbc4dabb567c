//! The elements of a test plan, and their properties.

use crate::convert::xml::Element;

/// An element of the test plan, with what stands below it.
#[derive(Clone, Copy)]
pub(super) struct Item<'x> {
    pub(super) element: &'x Element,
    pub(super) below: &'x [Element],
}

/// What a `hashTree` holds: each element is followed by the `hashTree` of what stands below it.
/// Elements that are switched off are left out, with all below them.
pub(super) fn items(tree: &[Element]) -> impl Iterator<Item = Item<'_>> {
    tree.iter().enumerate().filter_map(|(index, element)| {
        let below = tree.get(index + 1).filter(|next| next.tag == TREE);
        let is_on = element.tag != TREE && element.attribute("enabled") != Some("false");
        let below = below.map_or(&[][..], |tree| &tree.children);
        is_on.then_some(Item { element, below })
    })
}

/// Every element that is switched on, in order of the file.
pub(super) fn all<'x>(tree: &'x [Element], found: &mut Vec<Item<'x>>) {
    for item in items(tree) {
        found.push(item);
        all(item.below, found);
    }
}

/// How many elements of this level and below are switched off.
pub(super) fn switched_off(tree: &[Element]) -> usize {
    let own = tree.iter().filter(|element| element.attribute("enabled") == Some("false")).count();
    own + items(tree).map(|item| switched_off(item.below)).sum::<usize>()
}

/// The tag of the trees.
pub(super) const TREE: &str = "hashTree";

impl Element {
    /// The class of the element, without its package.
    pub(super) fn class(&self) -> &str {
        let tag = match self.tag.as_str() {
            // Whatever is not known to JMeter's own list of names.
            "TestElement" | "org.apache.jmeter.testelement.TestElement" => {
                self.attribute("testclass").unwrap_or_default()
            }
            tag => tag,
        };
        tag.rsplit('.').next().unwrap_or(tag)
    }

    /// The name that a person gave it.
    pub(super) fn named(&self) -> &str {
        self.attribute("testname").unwrap_or_default()
    }

    /// The property called `name`, of any type.
    pub(super) fn property(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| {
            child.attribute("name") == Some(name)
                // How some numbers are written: `<doubleProp><name>…</name><value>…</value>`.
                || child.children.iter().any(|part| part.tag == "name" && part.text == name)
        })
    }

    /// The text of the property called `name`; empty where there is none.
    pub(super) fn prop(&self, name: &str) -> &str {
        let Some(property) = self.property(name) else { return "" };
        let value = property.children.iter().find(|part| part.tag == "value");
        value.map_or(property.text.as_str(), |value| value.text.as_str()).trim()
    }

    /// The same with the spaces around it, which a body may need.
    pub(super) fn raw_prop(&self, name: &str) -> &str {
        self.property(name).map_or("", |property| &property.text)
    }

    /// Whether the property called `name` is set.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.prop(name).eq_ignore_ascii_case("true")
    }

    /// The entries of the collection called `name`.
    pub(super) fn collection(&self, name: &str) -> &[Element] {
        self.property(name).map_or(&[], |collection| &collection.children)
    }

    /// The texts of the collection called `name`.
    pub(super) fn texts(&self, name: &str) -> Vec<&str> {
        self.collection(name).iter().map(|entry| entry.text.as_str()).collect()
    }
}
