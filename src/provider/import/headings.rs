//! What tables that come from elsewhere call the attributes of users. These names are hints for the operator, and never
//! taken for what they seem to mean: a wrong guess would give people the wrong names and logins.

use crate::scim::schema::{Attribute, ResourceType};

/// Common headings, without case, spaces and signs, and the columns that they most likely are.
const COMMON: [(&[&str], &str); 24] = [
    (&["login", "loginname", "userid", "userprincipalname", "upn", "samaccountname", "account"], "userName"),
    (&["firstname", "forename", "vorname", "prenom"], "name.givenName"),
    (&["lastname", "surname", "nachname"], "name.familyName"),
    (&["middlename"], "name.middleName"),
    (&["fullname", "name", "employeename"], "displayName"),
    (&["email", "emailaddress", "mail", "workemail", "businessemail"], "emails"),
    (&["personalemail", "privateemail", "homeemail"], "emails[type eq \"home\"].value"),
    (&["phone", "phonenumber", "telephone", "telephonenumber", "workphone", "businessphone"], "phoneNumbers"),
    (
        &["mobile", "mobilephone", "mobilenumber", "cell", "cellphone", "cellphonenumber"],
        "phoneNumbers[type eq \"mobile\"].value",
    ),
    (&["jobtitle", "position", "jobposition"], "title"),
    (&["status", "enabled", "accountenabled", "accountstatus", "employeestatus"], "active"),
    (&["dept", "departmentname", "abteilung"], "department"),
    (&["company", "companyname", "organisation"], "organization"),
    (&["employeeid", "personnelnumber", "staffid", "staffnumber", "empid"], "employeeNumber"),
    (&["costcentre"], "costCenter"),
    (&["supervisor", "reportsto", "linemanager", "managername", "manageremail", "managerid"], "manager"),
    (&["group", "team", "teams", "memberof"], "groups"),
    (&["street", "address", "address1"], "addresses[type eq \"work\"].streetAddress"),
    (&["city", "town", "location"], "addresses[type eq \"work\"].locality"),
    (&["state", "province"], "addresses[type eq \"work\"].region"),
    (&["zip", "zipcode", "postcode"], "addresses[type eq \"work\"].postalCode"),
    (&["countrycode"], "addresses[type eq \"work\"].country"),
    (&["language"], "preferredLanguage"),
    (&["tz"], "timezone"),
];

/// Parts that say nothing of the attribute whose they are.
const NAMELESS: [&str; 5] = ["value", "display", "type", "primary", "$ref"];

/// How alike two names are at least for one to be a slip of the other.
const ALIKE: f64 = 0.85;

/// As much of a heading as is compared: no name is half as long.
const LONGEST: usize = 100;

/// The column that a heading most likely means, if it means one of those that can be.
pub(super) fn likely(user: &'static ResourceType, heading: &str, can_be: impl Fn(&str) -> bool) -> Option<String> {
    let wanted: String = bare(heading).chars().take(LONGEST).collect();
    let known: Vec<(String, String)> = names(user).into_iter().filter(|(_, column)| can_be(column)).collect();
    if let Some((_, column)) = known.iter().find(|(name, _)| *name == wanted) {
        return Some(column.clone());
    }
    let common = COMMON.iter().find(|(headings, _)| headings.contains(&wanted.as_str()));
    if let Some((_, column)) = common.filter(|(_, column)| can_be(column)) {
        return Some((*column).to_owned());
    }
    let likeness = |name: &str| strsim::jaro_winkler(name, &wanted);
    // The first of those that are as near: the short form of a name.
    let nearest = known.into_iter().rev().max_by(|(one, _), (other, _)| likeness(one).total_cmp(&likeness(other)));
    nearest.filter(|(name, _)| likeness(name) > ALIKE).map(|(_, column)| column)
}

/// Letters and digits alone, in lower case: `E-Mail address` is `emailaddress`.
fn bare(heading: &str) -> String {
    heading.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// What a user can have, by the bare name: attributes first, so that none of their parts hides one.
fn names(user: &'static ResourceType) -> Vec<(String, String)> {
    let schemas = || user.urns().map(move |schema| (schema, std::ptr::eq(schema, user.schema)));
    let column = |urn: &str, is_base: bool, rest: String| if is_base { rest } else { format!("{urn}:{rest}") };
    let mut names =
        vec![("externalid".to_owned(), "externalId".to_owned()), ("groups".to_owned(), "groups".to_owned())];
    for (schema, is_base) in schemas() {
        for attribute in &schema.attributes {
            // The short form, where no other schema has the name; then the whole one.
            names.push((bare(&attribute.name), attribute.name.clone()));
            names.push((bare(&attribute.name), column(&schema.id, is_base, attribute.name.clone())));
        }
    }
    for (schema, is_base) in schemas() {
        for attribute in schema.attributes.iter().filter(|attribute| attribute.is_complex()) {
            let holder = holder(attribute);
            for part in attribute.sub_attributes.iter().filter(|part| !NAMELESS.contains(&part.name.as_str())) {
                let path = column(&schema.id, is_base, format!("{holder}.{}", part.name));
                names.push((bare(&part.name), path.clone()));
                names.push((bare(&format!("{}{}", attribute.name, part.name)), path));
            }
        }
    }
    names
}

/// The attribute, or its element of type `work` where it has many.
fn holder(attribute: &Attribute) -> String {
    let types = attribute.sub_attribute("type").filter(|_| attribute.multi_valued);
    match types.is_some_and(|types| types.canonical_values.iter().any(|value| value == "work")) {
        true => format!("{}[type eq \"work\"]", attribute.name),
        false => attribute.name.clone(),
    }
}
