//! The life of a directory, synchronisation by synchronisation.

use serde_json::{Value, json};

use super::{GROUP, PocketId, USER, User};
use crate::support::http::Client;
use crate::support::transcript::Endpoint;

/// The life of a directory in synchronisations. Panics at the first one that does not send exactly what it should.
pub fn walk_through(endpoint: &Endpoint) {
    let mut pocket = PocketId::new(endpoint);
    sync(&pocket, "an empty directory", 0, 0, 0);

    let mira = pocket.add_user(User::new("mira", "Mira", "Vogt"));
    let tom = pocket.add_user(User::new("tom", "Tom", "Lind & <Sons>"));
    let bare = pocket.add_user(User { display_name: String::new(), email: String::new(), ..User::new("bare", "", "") });
    let field = pocket.add_group("Field team", &[&mira, &tom]);
    let namesake = pocket.add_group("Field team", &[&bare]);
    let empty = pocket.add_group("Nobody yet", &[]);
    sync(&pocket, "the first one creates", 6, 0, 0);
    sync(&pocket, "the second one changes nothing", 0, 0, 0);

    pocket.edit_user(&mira, |user| user.display_name = "Mira Vogt-Lind".to_owned());
    pocket.edit_group(&field, |group| group.friendly_name = "Field & sales".to_owned());
    sync(&pocket, "what was edited is sent", 0, 2, 0);
    sync(&pocket, "and only once", 0, 0, 0);

    // The change time moves, the body does not: unless `lastModified` moves on such a PUT it comes again every hour.
    pocket.edit_user(&tom, |_| {});
    pocket.edit_group(&namesake, |_| {});
    sync(&pocket, "touched without a change", 0, 2, 0);
    sync(&pocket, "is not sent again", 0, 0, 0);

    // A pending change must not be hidden by a membership change that is written in the same run or just before.
    pocket.edit_user(&tom, |user| user.email = "tom.lind@acme.example".to_owned());
    pocket.edit_group(&empty, |group| {
        group.members.insert(tom.clone());
    });
    sync(&pocket, "a user and a group that takes him", 0, 2, 0);
    assert_eq!(remote(endpoint, "/Users", &tom)["emails"][0]["value"], "tom.lind@acme.example");
    pocket.edit_group(&field, |group| group.members.clear());
    sync(&pocket, "a group is emptied by a PUT without members", 0, 1, 0);
    assert_eq!(remote(endpoint, "/Groups", &field)["members"], json!([]));

    pocket.edit_user(&bare, |user| user.disabled = true);
    sync(&pocket, "a disabled user stays in the mirror", 0, 1, 0);
    assert_eq!(remote(endpoint, "/Users", &bare)["active"], false);
    pocket.edit_user(&bare, |user| user.disabled = false);
    sync(&pocket, "and is enabled again", 0, 1, 0);
    assert_eq!(remote(endpoint, "/Users", &bare)["active"], true);

    let before = remote(endpoint, "/Users", &tom);
    let group_before = remote(endpoint, "/Groups", &empty);
    pocket.admit_user(&tom, false);
    sync(&pocket, "access withdrawn", 0, 0, 1);
    let group_after = remote(endpoint, "/Groups", &empty);
    assert_eq!(group_after["members"], json!([]), "a deleted user leaves its groups");
    assert_eq!(group_after["meta"]["lastModified"], group_before["meta"]["lastModified"], "without touching them");
    pocket.admit_user(&tom, true);
    sync(&pocket, "access granted again", 1, 0, 0);
    assert_ne!(remote(endpoint, "/Users", &tom)["id"], before["id"], "a deleted id never comes back");

    pocket.remove_user(&mira);
    pocket.remove_group(&namesake);
    sync(&pocket, "deleted at home", 0, 0, 2);
    let heir = pocket.add_user(User::new("mira", "Miranda", "Ode"));
    sync(&pocket, "whose name is free at once", 1, 0, 0);
    assert_eq!(remote(endpoint, "/Users", &heir)["name"]["givenName"], "Miranda");

    create_foreign(endpoint, "/Users", &json!({"schemas": [USER], "userName": "made.by.hand"}));
    create_foreign(endpoint, "/Groups", &json!({"schemas": [GROUP], "displayName": "Made by hand"}));
    sync(&pocket, "what it does not know is deleted", 0, 0, 2);
    sync(&pocket, "and the mirror is at rest", 0, 0, 0);
}

fn sync(pocket: &PocketId, what: &str, post: usize, put: usize, delete: usize) {
    let counts = pocket.synchronise().unwrap_or_else(|error| panic!("Pocket ID, {what}: {error}"));
    assert_eq!(counts.failures, Vec::<String>::new(), "Pocket ID, {what}");
    assert_eq!((counts.post, counts.put, counts.delete), (post, put, delete), "POST, PUT, DELETE of Pocket ID, {what}");
}

fn remote(endpoint: &Endpoint, path: &str, external_id: &str) -> Value {
    let list = Client::new(&endpoint.base_url)
        .call(&endpoint.token, "GET", &format!("{path}?count=1000"), None)
        .unwrap_or_else(|error| panic!("GET {path}: {error}"))
        .json();
    let resources = list["Resources"].as_array().cloned().unwrap_or_default();
    let found = resources.into_iter().find(|one| one["externalId"] == external_id);
    found.unwrap_or_else(|| panic!("{path} has no externalId {external_id}"))
}

fn create_foreign(endpoint: &Endpoint, path: &str, body: &Value) {
    let response = Client::new(&endpoint.base_url)
        .call(&endpoint.token, "POST", path, Some(body))
        .unwrap_or_else(|error| panic!("POST {path}: {error}"));
    assert_eq!(response.status, 201, "{}", response.text());
}
