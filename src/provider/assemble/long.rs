//! A group of very many members, written down page by page: the same text as that of any other representation, without all
//! members in memory.

use super::{Assembler, Others, Representation, array};
use crate::provider::spill::Spill;
use crate::scim::Result;
use crate::scim::raw::{self, RawObject};
use crate::scim::schema::{Attribute, Role};
use crate::scim::version::Tagging;
use crate::store::Connection;
use crate::store::members;
use crate::store::resources::StoredText;

/// How many members are in memory at once.
const PAGE: usize = 1000;

/// An object that is being written, and the tag that it will have.
struct LongBody<'a> {
    text: &'a mut Spill,
    tagging: Tagging,
    /// What stands in front of the next member.
    separator: &'static str,
}

impl Assembler<'_> {
    /// The representation of a group, its text added to `text`.
    ///
    /// # Errors
    /// Database failures.
    pub(in crate::provider) fn long(
        &self,
        connection: &mut Connection,
        stored: &StoredText,
        text: &mut Spill,
    ) -> Result<Representation<()>> {
        let draft = self.draft(stored)?;
        let groups = self.read_groups(connection, &[stored.row_id])?;
        let referenced = self.read_names(connection, &draft.referenced_id().into_iter().collect())?;
        let related = self.related(Others { groups, referenced, ..Others::default() });
        // Everything in its place, but for the members, and for the tag, which depends on them.
        let frame = self.representation(draft, &related);
        let members = self.shown(Role::Members);
        let mut body = LongBody { text, tagging: related.tags.begin(), separator: "{" };
        for (name, value) in RawObject::parse(&frame.text)?.members() {
            match members.filter(|members| members.name == name) {
                Some(members) => self.write_members(connection, stored.row_id, members, &mut body)?,
                None if name == META => {}
                None => body.member(name, value),
            }
        }
        let LongBody { text, tagging, separator } = body;
        let (tag, location) = (tagging.tag(stored.meta.version), frame.location);
        let meta = self.meta(stored, &location, &tag);
        if let Some(meta) = self.projection.member_to_text(META, &meta) {
            text.push(separator);
            push_name(text, META);
            text.push(&meta);
        }
        text.push("}");
        Ok(Representation { text: (), tag, location })
    }

    /// Nothing is written if the projection shows nothing of any member; a group without members has an empty list.
    fn write_members(
        &self,
        connection: &mut Connection,
        group_row_id: i64,
        attribute: &Attribute,
        body: &mut LongBody<'_>,
    ) -> Result<()> {
        let (mut is_first, mut is_empty) = (true, true);
        members::each_page(connection, group_row_id, PAGE, |page| {
            is_empty = false;
            let all = array(page, |member| self.member(member));
            let Some(shown) = self.projection.member_to_text(&attribute.name, &all) else { return Ok(()) };
            if is_first {
                body.begin_member(attribute);
            }
            body.piece(if is_first { "[" } else { "," });
            body.piece(&shown[1..shown.len() - 1]);
            is_first = false;
            Ok(())
        })?;
        if is_empty {
            body.member(&attribute.name, "[]");
        } else if !is_first {
            body.piece("]");
        }
        Ok(())
    }
}

/// It comes last.
const META: &str = "meta";

impl LongBody<'_> {
    fn member(&mut self, name: &str, value: &str) {
        self.name(name);
        self.text.push(value);
        self.tagging.member(name, value);
    }

    fn begin_member(&mut self, attribute: &Attribute) {
        self.name(&attribute.name);
        self.tagging.begin_member(attribute);
    }

    /// More of the value of the member that has begun.
    fn piece(&mut self, text: &str) {
        self.text.push(text);
        self.tagging.piece(text);
    }

    fn name(&mut self, name: &str) {
        self.text.push(self.separator);
        self.separator = ",";
        push_name(self.text, name);
    }
}

fn push_name(text: &mut Spill, name: &str) {
    text.push(&raw::string(name));
    text.push(":");
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::provider::{Call, Provider, system_clock};
    use crate::scim::projection::Projection;
    use crate::scim::schema::Registry;
    use crate::store::tests::{Fixture, on_each_database};
    use crate::store::{Reach, resources};

    /// How many members of each kind, so that pages end within them.
    const MANY: usize = PAGE + 10;

    #[test]
    fn ver_01_proj_03_the_long_way_comes_to_the_same_text_and_tag() {
        on_each_database(|Fixture { store, .. }| async move {
            let tenant_id = Call::of_a_test().caller.tenant_id;
            let groups = Registry::builtin().resource_type("Group").expect("a built-in type");
            let provider = Provider::new(store.clone(), Registry::builtin(), "https://x/scim/v2", system_clock());
            let made = async |body: Value| {
                let body = body.as_object().expect("an object").clone();
                let made = provider.create(Call::of_a_test(), groups, body, Projection::everything(groups)).await;
                made.expect("a group").members().expect("an object")["id"].clone()
            };
            let mut members = Vec::new();
            for at in 0..MANY {
                members.push(json!({"value": made(json!({"displayName": format!("Inner \"{at}\"")})).await}));
            }
            members.extend((0..MANY).map(|at| json!({"value": format!("unresolved-{at}")})));
            let whole = made(json!({"displayName": "Whole", "members": members})).await;
            let empty = made(json!({"displayName": "Empty"})).await;

            for (attributes, excluded) in [
                (None, None),
                (Some("members.display"), None),
                (Some("displayName,members.value"), None),
                (Some("members.unknown"), None),
                (None, Some("meta")),
                (None, Some("members.type,displayName")),
            ] {
                let projection = Projection::parse(groups, attributes, excluded).expect("a projection");
                for id in [&whole, &empty] {
                    let (provider, projection) = (provider.clone(), projection.clone());
                    let id = id.as_str().expect("an id").to_owned();
                    let both = move |connection: &mut Connection| {
                        let stored = resources::find_text(connection, tenant_id, "Group", &id)?.expect("a group");
                        let assembler = provider.assembler(tenant_id, groups, &projection);
                        let mut text = Spill::new(None, 1);
                        let long = assembler.long(connection, &stored, &mut text)?;
                        let text = text.finish().expect("readable");
                        Ok((long.map(|()| text), assembler.one(connection, stored)?))
                    };
                    let (long, whole) = store.read(Reach::Scan, both).await.expect("both");

                    let asked = (attributes, excluded);
                    assert_eq!(long.text.whole_of_a_test(), whole.text, "{asked:?}");
                    assert_eq!((long.tag, long.location), (whole.tag, whole.location), "{asked:?}");
                }
            }
        });
    }
}
