//! How often the operations that clients repeat all day go to PostgreSQL: each time is a round trip, with the locks of a
//! write held meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::tests::{everything, id, json_of, members, target};
use super::{Call, Provider, Representation, Text, system_clock};
use crate::scim::query::{Parameters, Query};
use crate::scim::schema::{ENTERPRISE_URN, Registry, ResourceType};
use crate::scim::{Profile, Result};
use crate::store::tests::{Fixture, on_each_database_with_one_connection, statements_of};

struct Desk {
    provider: Provider,
    statements: Arc<AtomicUsize>,
}

fn of_type(name: &str) -> &'static ResourceType {
    Registry::builtin().resource_type(name).expect("a built-in type")
}

impl Desk {
    /// The answer, and how many statements it took.
    async fn counted<T>(&self, answer: impl Future<Output = Result<T>>) -> (T, usize) {
        let before = self.statements.load(Ordering::SeqCst);
        let answer = answer.await.expect("an answer");
        (answer, self.statements.load(Ordering::SeqCst) - before)
    }

    async fn create(&self, resource_type: &str, body: Value) -> (Representation, usize) {
        let created = self.provider.create(
            Call::of_a_test(),
            of_type(resource_type),
            members(&body),
            everything(of_type(resource_type)),
        );
        self.counted(created).await
    }

    async fn read(&self, id: &str) -> (Representation, usize) {
        let found = self.provider.read(Call::of_a_test(), of_type("User"), id.to_owned(), everything(of_type("User")));
        let (found, statements) = self.counted(found).await;
        let short = |text| match text {
            Text::Short(text) => text,
            Text::Long(_) => panic!("a user is short"),
        };
        (found.map(short), statements)
    }

    async fn patch(&self, resource_type: &str, id: &str, operation: Value) -> usize {
        let body = members(&json!({"Operations": [operation]}));
        let (target, projection) = (target(of_type(resource_type), id), everything(of_type(resource_type)));
        self.counted(self.provider.modify(Call::of_a_test(), target, body, projection, false)).await.1
    }

    async fn look_up(&self, filter: &str) -> (Vec<String>, u64, usize) {
        let parameters = Parameters { filter: Some(filter.to_owned()), ..Parameters::default() };
        let query = Query::resolve(&parameters, of_type("User"), Profile::Compat).expect("a query");
        let (found, statements) = self.counted(self.provider.search(Call::of_a_test(), vec![query])).await;
        (found.resources.iter().map(id).collect(), found.total, statements)
    }
}

#[test]
fn what_clients_repeat_all_day_takes_few_round_trips() {
    on_each_database_with_one_connection(|Fixture { store, postgres }| async move {
        if !postgres {
            return;
        }
        let statements = statements_of(&store);
        let provider = Provider::new(store, Registry::builtin(), "https://x/scim/v2", system_clock());
        let desk = Desk { provider, statements };
        // BEGIN, the tenant with the row, values and history with its event, COMMIT.
        let (ann, creation) = desk.create("User", json!({"userName": "ann", "displayName": "Ann"})).await;
        let ann = id(&ann);
        // By then the tenant is known.
        let later = desk.create("User", json!({"userName": "eva", "displayName": "Eva"})).await.1;
        let managed = json!({"userName": "bob", ENTERPRISE_URN: {"manager": {"value": ann}}});
        let bob = id(&desk.create("User", managed).await.0);
        let team = id(&desk.create("Group", json!({"displayName": "Team", "members": [{"value": bob}]})).await.0);

        let (shown, reading) = desk.read(&ann).await;
        let (managed, reading_managed) = desk.read(&bob).await;
        let (found, total, looking_up) = desk.look_up(r#"userName eq "ann""#).await;
        let (nobody, none, looking_for_nobody) = desk.look_up(r#"userName eq "eve""#).await;
        let disabling = desk.patch("User", &ann, json!({"op": "replace", "path": "active", "value": false})).await;
        let joining = json!({"op": "add", "path": "members", "value": [{"value": ann}]});
        let joining = desk.patch("Group", &team, joining).await;
        let deletion = desk.counted(desk.provider.delete(Call::of_a_test(), target(of_type("User"), &bob))).await.1;

        assert_eq!(json_of(&shown)["userName"], "ann");
        assert_eq!(json_of(&managed)[ENTERPRISE_URN]["manager"]["displayName"], "Ann");
        assert_eq!(json_of(&managed)["groups"][0]["value"], json!(team));
        assert_eq!((found, total), (vec![ann], 1));
        assert_eq!((nobody.len(), none), (0, 0));
        assert_eq!([reading, looking_up, looking_for_nobody, reading_managed], [1, 1, 1, 2]);
        assert_eq!([creation, later, disabling, joining, deletion], [4, 1, 2, 10, 9]);
    });
}

#[test]
fn who_is_in_groups_of_groups_is_shown_as_in_a_transaction() {
    on_each_database_with_one_connection(|Fixture { store, .. }| async move {
        let statements = statements_of(&store);
        let provider = Provider::new(store, Registry::builtin(), "https://x/scim/v2", system_clock());
        let desk = Desk { provider, statements };
        let ann = id(&desk.create("User", json!({"userName": "ann"})).await.0);
        let inner = id(&desk.create("Group", json!({"displayName": "Inner", "members": [{"value": ann}]})).await.0);
        let direct = desk.read(&ann).await.0;
        let outer = id(&desk.create("Group", json!({"displayName": "Outer", "members": [{"value": inner}]})).await.0);

        let nested = desk.read(&ann).await.0;

        let groups = |shown: &Representation| -> Vec<(Value, Value)> {
            let shown = json_of(shown);
            let groups = shown["groups"].as_array().expect("groups").iter();
            groups.map(|group| (group["value"].clone(), group["type"].clone())).collect()
        };
        assert_eq!(groups(&direct), [(json!(inner), json!("direct"))]);
        assert_eq!(groups(&nested), [(json!(inner), json!("direct")), (json!(outer), json!("indirect"))]);
    });
}
