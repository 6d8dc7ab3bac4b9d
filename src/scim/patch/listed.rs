//! The elements that the `value` of a `remove` lists. The RFC knows none there; Microsoft Entra ID names in it whom it
//! means (T-06).

use serde_json::Value;

use crate::scim::accept;
use crate::scim::filter::{Check, Condition, Relation, Test};
use crate::scim::key::Key;
use crate::scim::schema::Resolved;
use crate::scim::tolerance::list;
use crate::scim::{Profile, Result};

/// The elements that the `value` of a `remove` means (T-06): those that are equal to a listed one in `value` and, where
/// it is given, `type`; without `value`, in every part that is given. An element that says nothing selects nothing, so
/// an empty list selects nothing either, never everything.
///
/// # Errors
/// `invalidValue` if a listed element can't be one of the attribute.
pub(super) fn selection(attribute: Resolved, value: &Value) -> Result<Condition> {
    let elements = list(value).iter().map(|element| equal_to(attribute, element));
    elements.collect::<Result<Vec<_>>>().map(Condition::Or)
}

fn equal_to(attribute: Resolved, element: &Value) -> Result<Condition> {
    if attribute.sub_attribute.is_some() || !attribute.attribute.is_complex() {
        let value = accept::element(attribute, element, Profile::Compat)?;
        return Ok(value.map_or(Condition::Constant(false), |value| equality(attribute, &value)));
    }
    let parts = accept::parts(attribute, element, Profile::Compat)?.unwrap_or_default();
    let given = |name: &str| parts.iter().any(|(part, value)| part.name == name && value.is_some());
    let has_value = given("value");
    let tests = parts
        .iter()
        .filter(|(part, _)| !has_value || matches!(part.name.as_str(), "value" | "type"))
        .filter_map(|(part, value)| Some(equality(attribute.with_sub_attribute(part), value.as_ref()?)))
        .collect::<Vec<_>>();
    Ok(if tests.is_empty() { Condition::Constant(false) } else { Condition::And(tests) })
}

fn equality(attribute: Resolved, value: &Value) -> Condition {
    match Key::of_stored(attribute.leaf(), value) {
        Some(key) => Condition::Test(Test { attribute, check: Check::Compare(Relation::Eq, key) }),
        None => Condition::Constant(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::filter::matches_element;
    use crate::scim::patch::tests::emails;
    use serde_json::json;

    #[test]
    fn t_06_listed_elements_select_by_type_and_value() {
        let emails = emails();
        let condition = selection(emails, &json!([{"value": "A@x.org", "display": "a"}, "b@x.org"])).expect("valid");
        let selects = |element| matches_element(&condition, &element);
        assert!(selects(json!({"value": "a@x.org", "type": "work"})));
        assert!(selects(json!({"value": "b@x.org"})));
        assert!(!selects(json!({"value": "c@x.org", "display": "a"})));
        for nothing in [json!([]), json!([{}]), json!([{"$ref": null}]), json!("")] {
            let condition = selection(emails, &nothing).expect("valid");
            assert!(!matches_element(&condition, &json!({"value": "a@x.org"})), "{nothing}");
        }
    }
}
