//! `User.groups`: direct and indirect, through chains, cycles and diamonds, in representations and in filters.

use serde_json::{Value, json};

use crate::harness::{Api, each, each_profile};
use crate::messages::*;

fn add(members: &[&Value]) -> Value {
    let members: Vec<Value> = members.iter().map(|member| json!({"value": member["id"]})).collect();
    patch(json!([{"op": "add", "path": "members", "value": members}]))
}

/// So many groups, each in the next; the first one has these members.
fn chain(api: &Api, length: usize, members: &[&Value]) -> Vec<Value> {
    let mut groups: Vec<Value> = Vec::with_capacity(length);
    for index in 0..length {
        let inner: Vec<&Value> = groups.last().into_iter().collect();
        let members = if index == 0 { members } else { &inner };
        groups.push(api.created("/Groups", &group(&format!("G{index}"), members)));
    }
    groups
}

/// The displayNames of a user's groups of that type, in the order of the representation.
fn groups_of(user: &Value, kind: &str) -> Vec<String> {
    let groups = user.get("groups").and_then(Value::as_array).cloned().unwrap_or_default();
    let of_kind = groups.iter().filter(|group| group["type"] == kind);
    of_kind.map(|group| group["display"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn usr_03_usr_04_char_02_groups_are_computed() {
    each_profile(|api| {
        let claimed = json!({"groups": [{"value": NOBODY, "display": "Admins"}]});
        let ines = api.created("/Users", &user_with("ines", claimed.clone()));
        assert!(ines.get("groups").is_none());
        let inner = api.created("/Groups", &group("Inner", &[&ines]));
        let outer = api.created("/Groups", &group("Outer", &[&inner]));

        let put = assert_resource(&api.put(&path_of(&ines), &user_with("ines", claimed)), 200);
        for (op, path) in
            [("add", "groups"), ("replace", "groups"), ("remove", "groups"), ("remove", "groups[type pr]")]
        {
            let value = json!([{"value": NOBODY}]);
            let operation = if op == "remove" {
                json!({"op": op, "path": path})
            } else {
                json!({"op": op, "path": path, "value": value})
            };
            assert_error(&api.patch(&path_of(&ines), &patch(json!([operation]))), 400, Some("mutability"));
        }

        let shown = |group: &Value, kind: &str| {
            json!({"value": group["id"], "$ref": group["meta"]["location"], "display": group["displayName"],
                "type": kind})
        };
        assert_eq!(put["groups"], json!([shown(&inner, "direct"), shown(&outer, "indirect")]));
        assert_eq!(api.get(&path_of(&ines)).json(), put);
        for nested in [&inner, &outer] {
            assert!(api.get(&path_of(nested)).json().get("groups").is_none(), "a group has no groups");
        }
        assert_error(&api.get("/Groups?filter=groups.value%20pr"), 400, Some("invalidFilter"));
    });
}

#[test]
fn usr_04_a_group_is_listed_once_and_direct_wins() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));
        let inner = api.created("/Groups", &group("Inner", &[&ines]));
        let outer = api.created("/Groups", &group("Outer", &[&inner, &ines]));

        let both = api.get(&path_of(&ines)).json();
        let of_kind = |kind: &str, group: &Value| {
            found(api, "/Users", &format!(r#"groups[type eq "{kind}" and value eq {}]"#, group["id"]))
        };

        assert_eq!(groups_of(&both, "direct"), ["Inner", "Outer"]);
        assert_eq!(both["groups"].as_array().unwrap().len(), 2);
        assert_eq!((of_kind("direct", &outer), of_kind("indirect", &outer)), (vec!["ines".to_owned()], vec![]));

        let leave = patch(json!([{"op": "remove", "path": format!("members[value eq {}]", ines["id"])}]));
        api.patch(&path_of(&outer), &leave);

        assert_eq!(groups_of(&api.get(&path_of(&ines)).json(), "indirect"), ["Outer"]);
        assert_eq!((of_kind("direct", &outer), of_kind("indirect", &outer)), (vec![], vec!["ines".to_owned()]));
    });
}

#[test]
fn grp_05_groups_may_contain_each_other_but_not_themselves() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));
        let a = api.created("/Groups", &group("A", &[&ines]));
        let b = api.created("/Groups", &group("B", &[&a]));

        let circle = api.patch(&path_of(&a), &add(&[&b]));
        let itself = api.patch(&path_of(&a), &add(&[&a]));
        let replaced = api.put(&path_of(&a), &group("A", &[&ines, &b, &a]));

        assert_eq!(values(&assert_resource(&circle, 200), "members"), ids(&[&ines, &b]));
        assert_error(&itself, 400, Some("invalidValue"));
        assert_error(&replaced, 400, Some("invalidValue"));
        let shown = api.get(&path_of(&ines)).json();
        assert_eq!(
            (groups_of(&shown, "direct"), groups_of(&shown, "indirect")),
            (vec!["A".to_owned()], vec!["B".to_owned()])
        );
        for filter in
            [r#"groups.type eq "indirect""#, "groups pr", r#"groups.display eq "B""#, r#"groups.display eq "A""#]
        {
            assert_eq!(found(api, "/Users", filter), ["ines"], "{filter}");
        }
    });
}

#[test]
fn grp_05_usr_04_a_chain_of_a_hundred_groups_is_shown_and_found() {
    each(|api| {
        let ines = api.created("/Users", &user("ines"));
        api.created("/Users", &user("omar"));
        let groups = chain(api, 100, &[&ines]);

        let shown = api.get(&path_of(&ines)).json();
        let listed = assert_list(&api.get("/Users?sortBy=userName"));

        assert_eq!(groups_of(&shown, "direct"), ["G0"]);
        assert_eq!(groups_of(&shown, "indirect"), (1..100).map(|index| format!("G{index}")).collect::<Vec<_>>());
        assert_eq!((&listed[0], listed[1].get("groups")), (&shown, None));
        for filter in [
            format!("groups.value eq {}", groups[99]["id"]),
            format!(r#"groups[type eq "indirect" and value eq {}]"#, groups[99]["id"]),
            format!("groups.$ref eq {}", groups[50]["meta"]["location"]),
            r#"groups[type eq "indirect" and display sw "g9"]"#.to_owned(),
            r#"groups[type eq "direct" and display eq "g0"]"#.to_owned(),
            r#"groups.type ne "other" and groups pr"#.to_owned(),
        ] {
            assert_eq!(found(api, "/Users", &filter), ["ines"], "{filter}");
        }
        let direct = format!(r#"groups[type eq "direct" and value eq {}]"#, groups[1]["id"]);
        assert_eq!(found(api, "/Users", &direct), Vec::<String>::new());
        assert_eq!(found(api, "/Users", "not (groups pr)"), ["omar"]);
        assert_eq!(found(api, "/Users", r#"not (groups.type eq "indirect")"#), ["omar"]);
    });
}

/// 2^30 ways lead from the user to the top.
#[test]
fn grp_05_usr_04_a_diamond_is_walked_by_its_memberships() {
    each(|api| {
        let ines = api.created("/Users", &user("ines"));
        let mut below = vec![ines.clone()];
        for level in 0..30 {
            let members: Vec<&Value> = below.iter().collect();
            below = ["a", "b"].map(|side| api.created("/Groups", &group(&format!("{side}{level}"), &members))).into();
        }

        let shown = api.get(&path_of(&ines)).json();
        let top = &below[0];

        assert_eq!((groups_of(&shown, "direct").len(), groups_of(&shown, "indirect").len()), (2, 58));
        assert_eq!(found(api, "/Users", &format!("groups.value eq {}", top["id"])), ["ines"]);
        assert_eq!(found(api, "/Users", r#"groups[type eq "indirect" and display co "b29"]"#), ["ines"]);
    });
}

/// What a filter finds is what the representation shows, for every group and both types.
#[test]
fn usr_04_filters_and_representations_agree() {
    each(|api| {
        let users: Vec<Value> = ["ines", "omar", "pia", "ugo"].map(|name| api.created("/Users", &user(name))).into();
        let a = api.created("/Groups", &group("A", &[&users[0], &users[1]]));
        let b = api.created("/Groups", &group("B", &[&a, &users[1], &users[2]]));
        let c = api.created("/Groups", &group("C", &[&b]));
        api.patch(&path_of(&a), &add(&[&c]));

        let listed = assert_list(&api.get("/Users"));

        for kind in ["direct", "indirect"] {
            let with = |test: &dyn Fn(&Value) -> bool| {
                let shows = |user: &&Value| {
                    let groups = user.get("groups").and_then(Value::as_array).cloned().unwrap_or_default();
                    groups.iter().any(|group| group["type"] == kind && test(group))
                };
                let mut names = names(&listed.iter().filter(shows).cloned().collect::<Vec<_>>());
                names.sort();
                names
            };
            assert_eq!(found(api, "/Users", &format!(r#"groups.type eq "{kind}""#)), with(&|_| true));
            for group in [&a, &b, &c] {
                let filter = format!(r#"groups[type eq "{kind}" and value eq {}]"#, group["id"]);
                assert_eq!(found(api, "/Users", &filter), with(&|shown| shown["value"] == group["id"]), "{filter}");
                let filter = format!(r#"groups[type eq "{kind}" and not (value eq {})]"#, group["id"]);
                assert_eq!(found(api, "/Users", &filter), with(&|shown| shown["value"] != group["id"]), "{filter}");
            }
        }
    });
}

#[test]
fn grp_09_an_ancestor_that_changes_is_seen_by_a_conditional_read() {
    each_profile(|api| {
        let ines = api.created("/Users", &user("ines"));
        let inner = api.created("/Groups", &group("Inner", &[&ines]));
        let outer = api.created("/Groups", &group("Outer", &[]));
        let path = path_of(&ines);
        let read = |etag: &str| api.send("GET", &path, &[("If-None-Match", etag)], None);
        let before = assert_resource(&api.get(&path), 200);
        let tag = |user: &Value| user["meta"]["version"].as_str().unwrap().to_owned();

        assert_resource(&api.patch(&path_of(&outer), &add(&[&inner])), 200);
        let joined = assert_resource(&read(&tag(&before)), 200);
        let renamed = patch(json!([{"op": "replace", "path": "displayName", "value": "Outermost"}]));
        assert_resource(&api.patch(&path_of(&outer), &renamed), 200);
        let after = assert_resource(&read(&tag(&joined)), 200);
        assert_eq!(api.delete(&path_of(&outer)).status, 204);
        let left = assert_resource(&read(&tag(&after)), 200);

        assert_eq!(groups_of(&joined, "indirect"), ["Outer"]);
        assert_eq!(groups_of(&after, "indirect"), ["Outermost"]);
        assert_eq!(left["groups"], before["groups"]);
        assert_eq!(read(&tag(&left)).status, 304);
        for now in [&joined, &after, &left] {
            assert_eq!(now["meta"]["lastModified"], before["meta"]["lastModified"]);
        }
        let put = api.send("PUT", &path, &[("If-Match", &tag(&before))], Some(user("ines").to_string().as_bytes()));
        assert_resource(&put, 200);
    });
}
