//! What attributes are called in the search index, and the numbers that stand there for these names.

use std::borrow::Cow;
use std::collections::HashMap;

use super::Attribute;

/// The number that stands in the search index for an index path, which is ASCII: a polynomial over its characters modulo a
/// prime, from 0 up to 2^31.
///
/// A path takes up to 400 bytes, in each of the rows of which a user has twenty; the number takes four. It follows from the
/// path alone, so processes need not agree on it, and the databases can compute it too (`0010_tenant_path`): it never changes.
pub const fn path_hash(path: &str) -> i64 {
    let bytes = path.as_bytes();
    let (mut hash, mut at) = (0, 0);
    while at < bytes.len() {
        hash = (hash * FACTOR + bytes[at] as i64) % PRIME;
        at += 1;
    }
    hash
}

const FACTOR: i64 = 131;
const PRIME: i64 = (1 << 31) - 1;

impl Attribute {
    /// Under which path the search index has the value that sorting looks at, as element 0. An element may have several
    /// values of a part; the first of them stands there a second time.
    pub fn sort_path(&self) -> Cow<'_, str> {
        let is_part = self.index_path.rsplit(':').next().is_some_and(|name| name.contains('.'));
        match self.multi_valued && is_part {
            true => format!("{}[0]", self.index_path).into(),
            false => self.index_path.as_str().into(),
        }
    }
}

/// Paths of the search index by their numbers.
#[derive(Debug, Default)]
pub(super) struct IndexPaths(HashMap<i64, String>);

impl IndexPaths {
    /// Adds the paths of an attribute and its parts.
    ///
    /// # Errors
    /// One that has the number of another path, and that other one.
    pub fn add(&mut self, attribute: &Attribute) -> Result<(), [String; 2]> {
        for attribute in std::iter::once(attribute).chain(&attribute.sub_attributes) {
            for path in [attribute.index_path.as_str().into(), attribute.sort_path()] {
                let known = self.0.entry(path_hash(&path)).or_insert_with(|| path.clone().into_owned());
                if *known != path {
                    return Err([path.into_owned(), known.clone()]);
                }
            }
        }
        Ok(())
    }

    /// The path with this number.
    pub fn get(&self, hash: i64) -> Option<&str> {
        self.0.get(&hash).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_path_is_what_the_databases_have() {
        assert_eq!(["", "a", "ab"].map(path_hash), [0, 97, 97 * 131 + 98]);
        assert_eq!(path_hash("emails.value"), 1_185_819_818);
    }
}
