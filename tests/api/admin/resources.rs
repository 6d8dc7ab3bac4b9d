//! What operators see of resources, live and deleted, and how they bring them back.

use std::collections::{BTreeMap, BTreeSet};

use scimd::scim::resource::Document;
use scimd::scim::schema::Registry;
use scimd::store::Connection;
use scimd::store::resources::{self, NewResource, Place};
use scimd::store::tenants::TenantSettings;
use serde_json::{Value, json};

use super::{admin, ask, asked, tenant_of};
use crate::harness::{Api, each, each_with_test_type, run};
use crate::messages::*;
use crate::support::test_type::{REQUIRED, TEST};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// A tenant, its resources, and an operator's key for both.
struct Desk<'a> {
    api: &'a Api,
    admin: Api,
    base: String,
}

impl<'a> Desk<'a> {
    fn of(api: &'a Api) -> Self {
        Desk { api, admin: admin(api), base: format!("/tenants/{}", tenant_of(api)) }
    }

    fn get(&self, path: &str) -> Value {
        asked(&self.admin, "GET", &format!("{}{path}", self.base), None)
    }

    fn refused(&self, method: &str, path: &str, status: u16, scim_type: Option<&str>) -> String {
        let body = json!({});
        let body = (method != "GET").then_some(&body);
        assert_error(&ask(&self.admin, method, &format!("{}{path}", self.base), body), status, scim_type)
    }

    /// Every item of a list, walked in pages of two.
    fn walk(&self, path: &str) -> Vec<Value> {
        let sign = if path.contains('?') { '&' } else { '?' };
        let first = format!("{path}{sign}limit=2");
        let (mut items, mut path) = (Vec::new(), first.clone());
        loop {
            let page = self.get(&path);
            let on_page = page["items"].as_array().unwrap();
            assert!(on_page.len() <= 2, "{page}");
            items.extend(on_page.iter().cloned());
            let Some(next) = page["next"].as_str() else { return items };
            path = format!("{first}&after={next}");
        }
    }

    fn ids(&self, path: &str) -> Vec<String> {
        self.walk(path).iter().map(|item| id(&item["resource"])).collect()
    }

    fn user(&self, name: &str) -> String {
        id(&self.api.created("/Users", &json!({"userName": name})))
    }

    fn group(&self, name: &str, members: &[&str]) -> String {
        let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
        id(&self.api.created("/Groups", &json!({"displayName": name, "members": members})))
    }

    fn delete(&self, path: &str) {
        assert_eq!(self.api.delete(path).status, 204, "{path}");
    }
}

fn id(resource: &Value) -> String {
    resource["id"].as_str().expect("an id").to_owned()
}

fn key_of(api: &Api) -> &str {
    api.token.split('_').nth(1).unwrap()
}

fn encoded(filter: &str) -> String {
    percent_encoding::utf8_percent_encode(filter, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[test]
fn live_resources_are_walked_in_the_order_of_their_creation() {
    each(|api| {
        let desk = Desk::of(api);
        let users: Vec<String> = (0..5).map(|number| desk.user(&format!("user{number}"))).collect();
        let group = desk.group("Field Team", &[&users[0]]);
        api.other_tenant().created("/Users", &json!({"userName": "foreign"}));

        assert_eq!(desk.ids("/resources/Users"), users);
        assert_eq!(desk.ids(&format!("/resources/Users?filter={}", encoded("userName ge \"user3\""))), users[3..]);
        let page = desk.get("/resources/Users?limit=2");
        assert_eq!((&page["total"], &page["items"][0]["status"]), (&json!(5), &json!("live")));
        let shown = &page["items"][0];
        assert_eq!((&shown["label"], shown["resource"].get("groups")), (&json!("user0"), None));
        let groups = desk.get("/resources/Groups");
        let shown = &groups["items"][0];
        assert_eq!((&shown["name"], &shown["label"]), (&json!("field_team"), &json!("Field Team")));
        assert_eq!((&shown["resource"]["id"], shown["resource"].get("members")), (&json!(group), None));
    });
}

/// The search index has live resources alone; whatever a filter finds there, it finds among the deleted ones.
#[test]
fn deleted_resources_are_found_by_every_filter_that_found_them_while_they_lived() {
    each(|api| {
        let desk = Desk::of(api);
        let boss = desk.user("boss");
        let users: Vec<String> = (0..7)
            .map(|number| {
                let mut body = json!({"userName": format!("User{number}"), "externalId": format!("e{number}"),
                    "active": number % 2 == 0, "name": {"familyName": format!("Óliver{number}")},
                    "emails": [{"value": format!("u{number}@x.org"), "type": "work", "primary": true},
                        {"value": format!("home{number}@y.org"), "type": "home"}],
                    ENTERPRISE: {"department": format!("D{}", number % 3)}});
                if number > 4 {
                    body[ENTERPRISE]["manager"] = json!({"value": boss});
                    body["title"] = json!("Guide");
                }
                id(&api.created("/Users", &body))
            })
            .collect();
        let created = |number: usize| api.get(&format!("/Users/{}", users[number])).json()["meta"]["created"].clone();
        let filters = [
            "userName sw \"USER\" and not (title pr)".to_owned(),
            "emails[type eq \"work\" and value ew \"3@x.org\"]".to_owned(),
            "emails.type eq \"work\" and emails.value co \"home2\"".to_owned(),
            "externalId eq \"e1\" or externalId eq \"E1\"".to_owned(),
            format!("id eq \"{}\"", users[4]),
            format!("meta.created ge {}", created(3)),
            "meta.lastModified pr and active eq false".to_owned(),
            "name.familyName eq \"óLIVER5\"".to_owned(),
            format!("{ENTERPRISE}:department eq \"d1\""),
            format!("manager.value eq \"{boss}\""),
            "groups pr".to_owned(),
            "meta.resourceType eq \"User\" and schemas co \"enterprise\"".to_owned(),
            format!("meta.version eq {}", api.get(&format!("/Users/{}", users[2])).json()["meta"]["version"]),
        ];
        let find = |which: &str, filter: &str| -> BTreeSet<String> {
            let found = desk.ids(&format!("/resources/Users?which={which}&filter={}", encoded(filter)));
            let distinct: BTreeSet<String> = found.iter().cloned().collect();
            assert_eq!(distinct.len(), found.len(), "{filter}");
            distinct.into_iter().filter(|id| *id != boss).collect()
        };
        let alive: BTreeMap<&String, BTreeSet<String>> =
            filters.iter().map(|filter| (filter, find("live", filter))).collect();
        assert!(alive.values().filter(|found| !found.is_empty() && found.len() < 7).count() >= 9, "{alive:#?}");

        users.iter().for_each(|user| desk.delete(&format!("/Users/{user}")));

        for (filter, found) in alive {
            assert_eq!(find("deleted", filter), found, "{filter}");
            assert_eq!(find("live", filter), BTreeSet::new(), "{filter}");
            assert_eq!(find("all", filter), found, "{filter}");
        }
    });
}

#[test]
fn deleted_resources_come_latest_first_and_after_the_live_ones_of_all() {
    each(|api| {
        let desk = Desk::of(api);
        let users: Vec<String> = (0..6).map(|number| desk.user(&format!("user{number}"))).collect();
        assert_eq!(desk.get("/resources/Users?which=all&limit=6").get("next"), None, "there are no deleted ones yet");
        for number in [3, 0, 4, 1] {
            desk.delete(&format!("/Users/{}", users[number]));
        }

        let deleted = [1, 4, 0, 3].map(|number| users[number].clone());
        assert_eq!(desk.ids("/resources/Users?which=deleted"), deleted);
        assert_eq!(desk.ids("/resources/Users"), [users[2].clone(), users[5].clone()]);
        let all = [&users[2..3], &users[5..], &deleted[..]].concat();
        assert_eq!(desk.ids("/resources/Users?which=all"), all);
        let shown = &desk.get("/resources/Users?which=deleted")["items"][0];
        assert_eq!((&shown["status"], &shown["deletedBy"]), (&json!("deleted"), &json!(key_of(api))));
        assert!(shown["deleted"].is_string(), "{shown}");
    });
}

/// More than is looked at for one page, of which one satisfies the filter.
#[test]
fn a_rare_match_among_many_deleted_resources_is_found_in_short_pages() {
    each(|api| {
        let desk = Desk::of(api);
        let resource_type = Registry::builtin().resource_type("User").unwrap();
        let place = Place { tenant_id: api.tenant_id, settings: TenantSettings::default(), resource_type };
        let now = chrono::Utc::now();
        run(api.store.write(move |connection: &mut Connection| {
            (0..2_100).try_for_each(|number| {
                let text = json!({"userName": format!("many{number}")}).to_string();
                let document = Document::from_json(&text).expect("a document");
                let id = format!("{}-{number}", place.tenant_id);
                let new = NewResource::of(resource_type, id, document.clone(), now);
                let stored = resources::insert(connection, place, &new)?.with(document);
                resources::bury(connection, place, &stored, "nobody", now)
            })
        }));

        let path = format!("/resources/Users?which=deleted&filter={}", encoded("userName eq \"many7\""));
        let first = desk.get(&path);
        assert_eq!(first["items"], json!([]));
        let second = desk.get(&format!("{path}&after={}", first["next"].as_str().unwrap()));
        assert_eq!(second["items"][0]["resource"]["userName"], json!("many7"));
        assert_eq!((second["items"].as_array().unwrap().len(), second.get("next")), (1, None));
    });
}

#[test]
fn a_page_goes_on_where_it_was_given_and_nowhere_else() {
    each(|api| {
        let desk = Desk::of(api);
        for number in 0..4 {
            let user = desk.user(&format!("user{number}"));
            if number % 2 == 0 {
                desk.delete(&format!("/Users/{user}"));
            }
        }
        let next = |path: &str| desk.get(path)["next"].as_str().unwrap().to_owned();
        let live = next("/resources/Users?limit=1");
        let deleted = next("/resources/Users?which=deleted&limit=1");
        let pr = encoded("userName pr");

        for path in [
            "/resources/Users?after=x".to_owned(),
            format!("/resources/Users?after={deleted}"),
            format!("/resources/Users?which=deleted&after={live}"),
            format!("/resources/Users?filter={pr}&after={live}"),
            format!("/resources/Users?which=deleted&filter={pr}&after={deleted}"),
            format!("/resources/Groups?which=deleted&after={deleted}"),
            "/resources/Users?which=deleted&after=d.".to_owned(),
        ] {
            let detail = desk.refused("GET", &path, 400, Some("invalidValue"));
            assert!(detail.contains("`after`"), "{path}: {detail}");
        }
        let elsewhere = Desk::of(&api.other_tenant()).base;
        let path = format!("{elsewhere}/resources/Users?which=deleted&after={deleted}");
        assert_error(&ask(&desk.admin, "GET", &path, None), 400, Some("invalidValue"));
        let unknown = format!("/resources/Users?which=deleted&filter={}", encoded("salary eq 1"));
        assert!(desk.refused("GET", &unknown, 400, Some("invalidFilter")).contains("salary"));
        let secret = format!("/resources/Users?which=deleted&filter={}", encoded("password eq \"x\""));
        desk.refused("GET", &secret, 403, Some("sensitive"));
        desk.refused("GET", "/resources/Users?which=some", 400, Some("invalidValue"));
        assert!(desk.refused("GET", "/resources/Robots", 404, None).contains("`Users`, `Groups`"));
    });
}

#[test]
fn a_user_is_shown_with_groups_manager_and_who_wrote_last() {
    each(|api| {
        let desk = Desk::of(api);
        let boss = id(&api.created("/Users", &json!({"userName": "boss", "displayName": "The Boss"})));
        let body = json!({"userName": "mira", ENTERPRISE: {"manager": {"value": boss}}});
        let mira = id(&api.created("/Users", &body));
        let team = desk.group("Team", &[&mira]);
        let staff = desk.group("Staff", &[&team]);
        let all = desk.group("All", &[&staff]);
        let other = desk.group("Other", &[&mira]);

        let shown = desk.get(&format!("/resources/Users/{mira}"));

        let ways = [
            (&team, "Team", None),
            (&other, "Other", None),
            (&staff, "Staff", Some(&team)),
            (&all, "All", Some(&staff)),
        ];
        let ways = ways.map(|(id, name, through)| match through {
            Some(through) => json!({"id": id, "displayName": name, "through": through}),
            None => json!({"id": id, "displayName": name}),
        });
        assert_eq!(shown["groups"], json!(ways));
        let manager = json!({"id": boss, "label": "boss", "displayName": "The Boss", "exists": true});
        assert_eq!((&shown["manager"], &shown["label"]), (&manager, &json!("mira")));
        let last = &shown["lastWrite"];
        assert_eq!((&last["key"], &last["keyName"]), (&json!(key_of(api)), &json!("test")));
        assert_eq!((&last["operation"], &last["version"]), (&json!("create"), &json!(1)));
        assert_eq!(shown["lastChange"], *last);

        desk.delete(&format!("/Users/{boss}"));
        let shown = desk.get(&format!("/resources/Users/{mira}"));
        assert_eq!((shown.get("manager"), &shown["lastWrite"]["operation"]), (None, &json!("create")));
        assert_eq!(shown["lastChange"]["operation"], "unassign");

        let at = shown["lastWrite"]["at"].as_str().unwrap().to_owned();
        desk.delete(&format!("/Users/{mira}"));
        let deleted = desk.get(&format!("/resources/Users/{mira}"));
        assert_eq!((&deleted["status"], deleted.get("groups")), (&json!("deleted"), None));
        let then = json!([{"id": other, "displayName": "Other", "deleted": false}, {"id": team, "displayName": "Team", "deleted": false}]);
        let mut groups = deleted["relations"]["groups"].as_array().unwrap().clone();
        groups.sort_by_key(|group| group["displayName"].as_str().unwrap().to_owned());
        assert_eq!(json!(groups), then);
        assert_eq!(deleted["lastWrite"]["operation"], "delete");
        let past = desk.get(&format!("/resources/Users/{mira}?at={at}"));
        assert_eq!((&past["status"], &past["version"], &past["at"]), (&json!("live"), &json!(1), &json!(at)));
        assert_eq!(past["resource"][ENTERPRISE]["manager"]["value"], json!(boss));
        desk.refused("GET", &format!("/resources/Users/{mira}?at=yesterday"), 400, Some("invalidValue"));
        desk.refused("GET", &format!("/resources/Users/{mira}?at=9999-01-01T00:00:00Z"), 400, Some("invalidValue"));
        assert!(desk.refused("GET", &format!("/resources/Groups/{mira}"), 404, None).contains(&mira));
    });
}

#[test]
fn a_group_is_shown_with_the_number_of_its_members_and_the_first_of_them() {
    each(|api| {
        let desk = Desk::of(api);
        let users: Vec<String> = (0..27).map(|number| desk.user(&format!("user{number}"))).collect();
        let mut ids: Vec<&str> = users.iter().map(String::as_str).collect();
        ids.push("nobody");
        let group = desk.group("Team", &ids);

        let shown = desk.get(&format!("/resources/Groups/{group}"));
        let whole = desk.get(&format!("/resources/Groups/{group}?allMembers=true"));

        assert_eq!((&shown["members"]["count"], &shown["members"]["unresolved"]), (&json!(28), &json!(1)));
        let first = shown["members"]["first"].as_array().unwrap();
        assert_eq!((first.len(), &first[0]), (25, &json!({"id": users[0], "type": "User"})));
        assert_eq!(shown["resource"].get("members"), None);
        assert_eq!(whole["resource"]["members"].as_array().unwrap().len(), 28);
        assert_eq!(whole["members"], shown["members"]);
        let at = shown["lastWrite"]["at"].as_str().unwrap();
        let past = desk.get(&format!("/resources/Groups/{group}?at={at}&allMembers=true"));
        assert_eq!((&past["members"]["count"], past["members"].get("unresolved")), (&json!(28), None));
        assert_eq!(past["resource"]["members"].as_array().unwrap().len(), 28);
    });
}

#[test]
fn a_history_is_walked_from_the_latest_change_to_the_first() {
    each(|api| {
        let desk = Desk::of(api);
        let user = desk.user("mira");
        for number in 0..4 {
            let body = json!({"userName": "mira", "title": format!("T{number}")});
            assert_eq!(api.put(&format!("/Users/{user}"), &body).status, 200);
        }

        let changes = desk.walk(&format!("/resources/Users/{user}/history"));

        let titles: Vec<Option<&str>> =
            changes.iter().map(|change| change["changes"]["after"]["title"].as_str()).collect();
        assert_eq!(titles, [Some("T3"), Some("T2"), Some("T1"), Some("T0"), None]);
        let last = changes.last().unwrap();
        assert_eq!((&last["operation"], &last["version"]), (&json!("create"), &json!(1)));
        assert_eq!((&last["key"], &last["keyName"]), (&json!(key_of(api)), &json!("test")));
        assert!(last["requestId"].is_string());
        desk.refused("GET", &format!("/resources/Users/{user}/history?after=x"), 400, Some("invalidValue"));
        desk.refused("GET", "/resources/Users/nobody/history", 404, None);
    });
}

#[test]
fn a_deleted_resource_is_brought_back_by_the_key_that_asks() {
    each(|api| {
        let desk = Desk::of(api);
        let user = desk.user("mira");
        let group = desk.group("Team", &[&user]);
        let restore = format!("/resources/Users/{user}/restore");
        assert!(desk.refused("POST", &restore, 404, None).contains("is not deleted"));
        desk.delete(&format!("/Users/{user}"));
        let taken = desk.user("MIRA");
        assert!(desk.refused("POST", &restore, 409, Some("uniqueness")).contains("Rename or delete"));
        desk.delete(&format!("/Users/{taken}"));
        let auditor = api.with_key(api.profile, "admin:read");
        assert_error(&ask(&auditor, "POST", &format!("{}{restore}", desk.base), Some(&json!({}))), 403, None);

        let restored = asked(&desk.admin, "POST", &format!("{}{restore}", desk.base), Some(&json!({})));

        assert_eq!((&restored["status"], &restored["resource"]["id"]), (&json!("live"), &json!(user)));
        assert_eq!((&restored["changed"], &restored["left"]), (&json!(true), &json!([])));
        assert_eq!(restored["resource"]["groups"][0]["value"], json!(group));
        assert_eq!(api.get(&format!("/Users/{user}")).status, 200);
        let last = &desk.get(&format!("/resources/Users/{user}"))["lastWrite"];
        assert_eq!((&last["operation"], &last["key"]), (&json!("restore"), &json!(key_of(&desk.admin))));
        assert!(desk.refused("POST", "/resources/Users/nobody/restore", 404, None).contains("'nobody'"));
    });
}

#[test]
fn a_resource_is_given_the_state_of_a_time_or_its_last_one_by_the_same_question() {
    each(|api| {
        let desk = Desk::of(api);
        let user = desk.user("mira");
        let group = desk.group("Team", &[&user, "nobody"]);
        let at = desk.get(&format!("/resources/Groups/{group}"))["lastWrite"]["at"].clone();
        let body = json!({"displayName": "Crew", "members": []});
        assert_eq!(api.put(&format!("/Groups/{group}"), &body).status, 200);
        let restore = format!("{}/resources/Groups/{group}/restore", desk.base);

        let restored = asked(&desk.admin, "POST", &restore, Some(&json!({"at": at, "allMembers": true})));

        assert_eq!((&restored["changed"], &restored["name"]), (&json!(true), &json!("team")));
        assert_eq!(restored["unresolvedMembers"], json!(["nobody"]));
        assert_eq!(restored["resource"]["members"].as_array().unwrap().len(), 2);
        let again = asked(&desk.admin, "POST", &restore, Some(&json!({"at": at})));
        assert_eq!((&again["changed"], again["resource"].get("members")), (&json!(false), None));
        let last = &desk.get(&format!("/resources/Groups/{group}"))["lastWrite"];
        assert_eq!((&last["operation"], &last["version"]), (&json!("replace"), &json!(3)));
        let future = json!({"at": "9999-01-01T00:00:00Z"});
        assert_error(&ask(&desk.admin, "POST", &restore, Some(&future)), 400, Some("invalidValue"));
        let nowhere = format!("{}/resources/Groups/nobody/restore", desk.base);
        assert_error(&ask(&desk.admin, "POST", &nowhere, Some(&json!({"at": at}))), 404, None);
    });
}

#[test]
fn groups_with_unresolved_members_are_listed() {
    each(|api| {
        let desk = Desk::of(api);
        let mut groups: Vec<(String, i64)> = (1..6)
            .map(|number| (desk.group(&format!("Group {number}"), &["a", "b", "c", "d", "e"][..number]), number as i64))
            .collect();
        desk.group("Whole", &[&desk.user("mira")]);
        let (gone, _) = groups.remove(1);
        desk.delete(&format!("/Groups/{gone}"));

        let listed = desk.walk("/unresolvedMembers");

        let listed: BTreeMap<String, i64> =
            listed.iter().map(|group| (id(group), group["unresolvedMembers"].as_i64().unwrap())).collect();
        assert_eq!(listed, groups.into_iter().collect());
    });
}

#[test]
fn res_21_resources_of_a_type_of_ones_own_are_looked_after_as_users_are() {
    each_with_test_type(|api| {
        let desk = Desk::of(api);
        let body = |label: &str| json!({"schemas": [TEST, REQUIRED], "label": label, REQUIRED: {"grade": 1}});
        let kept = id(&api.created("/Tests", &body("kept")));
        let gone = id(&api.created("/Tests", &body("gone")));
        let group = desk.group("Team", &[&gone]);
        desk.delete(&format!("/Tests/{gone}"));

        assert_eq!(desk.ids("/resources/Tests"), [kept]);
        let filter = encoded("label eq \"gone\"");
        assert_eq!(desk.ids(&format!("/resources/Tests?which=deleted&filter={filter}")), std::slice::from_ref(&gone));
        assert_eq!(desk.get(&format!("/resources/Tests/{gone}"))["relations"]["groups"][0]["id"], json!(group));
        asked(&desk.admin, "POST", &format!("{}/resources/Tests/{gone}/restore", desk.base), Some(&json!({})));
        let shown = desk.get(&format!("/resources/Tests/{gone}"));
        assert_eq!(shown["groups"], json!([{"id": group, "displayName": "Team"}]));
        assert_eq!(desk.walk(&format!("/resources/Tests/{gone}/history")).len(), 3);
        assert!(desk.refused("GET", "/resources/Test", 404, None).contains("`Tests`"));
    });
}
