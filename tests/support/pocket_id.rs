//! A Pocket ID: local users and groups, and the synchronisation that pushes them, request by request as Pocket ID sends
//! them and no more forgiving than Pocket ID when it reads the answers.
//!
//! It lists everything, compares `externalId` and `meta.lastModified`, and sends what differs: POST, PUT, or DELETE for
//! whatever it does not know. No discovery, no filter, no PATCH. [`walk_through`] is the whole life of a directory; its
//! point is that a synchronisation after which nothing changed locally writes nothing. Knows nothing of the server.

pub(crate) mod decoded;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use self::decoded::{Page, Remote, decode};
pub use self::walk::walk_through;
use super::answer;
use super::http::{Client, Response};
use super::transcript::Endpoint;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// No page walk of a test is longer; the real one would go round for ever.
const MOST_PAGES: usize = 1000;

/// The local directory and its one SCIM provider.
pub struct PocketId {
    client: Client,
    token: String,
    users: BTreeMap<String, User>,
    groups: BTreeMap<String, Group>,
}

/// A local user. The id is Pocket ID's own and becomes `externalId`.
#[derive(Debug, Clone)]
pub struct User {
    /// The login name.
    pub user_name: String,
    /// `name.givenName`, sent even when empty.
    pub first_name: String,
    /// `name.familyName`, sent even when empty.
    pub last_name: String,
    /// Left out of the body when empty.
    pub display_name: String,
    /// Left out of the body when empty.
    pub email: String,
    /// Sent as `active:false`; the user stays in the mirror.
    pub disabled: bool,
    changed: DateTime<Utc>,
    /// Whether the OIDC client admits this user. A change of it does not move the change time.
    admitted: bool,
}

/// A local group. Its friendly name is not unique.
#[derive(Debug, Clone)]
pub struct Group {
    /// `displayName`.
    pub friendly_name: String,
    /// Local ids of users.
    pub members: BTreeSet<String>,
    changed: DateTime<Utc>,
}

/// What one synchronisation sent, and what went wrong.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pages read.
    pub get: usize,
    /// Resources created.
    pub post: usize,
    /// Resources replaced.
    pub put: usize,
    /// Resources deleted.
    pub delete: usize,
    /// Resources that failed; the run goes on without them.
    pub failures: Vec<String>,
}

impl Counts {
    /// How many requests changed something or tried to.
    pub fn writes(&self) -> usize {
        self.post + self.put + self.delete
    }
}

impl User {
    /// A user with a display name, a name made of it, and an e-mail address.
    pub fn new(user_name: &str, first_name: &str, last_name: &str) -> Self {
        Self {
            user_name: user_name.to_owned(),
            first_name: first_name.to_owned(),
            last_name: last_name.to_owned(),
            display_name: format!("{first_name} {last_name}"),
            email: format!("{user_name}@acme.example"),
            disabled: false,
            changed: Utc::now(),
            admitted: true,
        }
    }

    pub(crate) fn body(&self, id: &str) -> Value {
        let mut body = json!({
            "externalId": id,
            "schemas": [USER],
            "userName": self.user_name,
            "name": {"familyName": self.last_name, "givenName": self.first_name},
        });
        if !self.display_name.is_empty() {
            body["displayName"] = json!(self.display_name);
        }
        body["active"] = json!(!self.disabled);
        if !self.email.is_empty() {
            body["emails"] = json!([{"value": self.email, "primary": true}]);
        }
        body
    }
}

impl PocketId {
    /// An empty directory with its provider.
    pub fn new(endpoint: &Endpoint) -> Self {
        Self {
            client: Client::new(&endpoint.base_url),
            token: endpoint.token.clone(),
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
        }
    }

    /// Adds a user and returns its local id.
    pub fn add_user(&mut self, user: User) -> String {
        let id = uuid::Uuid::now_v7().to_string();
        self.users.insert(id.clone(), User { changed: Utc::now(), ..user });
        id
    }

    /// Changes a user and its change time.
    pub fn edit_user(&mut self, id: &str, edit: impl FnOnce(&mut User)) {
        let user = self.users.get_mut(id).unwrap_or_else(|| panic!("no local user {id}"));
        edit(user);
        user.changed = Utc::now();
    }

    /// Deletes a user, also from its groups, whose change times stay.
    pub fn remove_user(&mut self, id: &str) {
        self.users.remove(id);
        for group in self.groups.values_mut() {
            group.members.remove(id);
        }
    }

    /// Grants or withdraws a user's access to the OIDC client. The change time does not move, in Pocket ID either.
    pub fn admit_user(&mut self, id: &str, admitted: bool) {
        self.users.get_mut(id).unwrap_or_else(|| panic!("no local user {id}")).admitted = admitted;
    }

    /// Adds a group and returns its local id.
    pub fn add_group(&mut self, friendly_name: &str, members: &[&str]) -> String {
        let id = uuid::Uuid::now_v7().to_string();
        let members = members.iter().map(|member| (*member).to_owned()).collect();
        let group = Group { friendly_name: friendly_name.to_owned(), members, changed: Utc::now() };
        self.groups.insert(id.clone(), group);
        id
    }

    /// Changes a group and its change time.
    pub fn edit_group(&mut self, id: &str, edit: impl FnOnce(&mut Group)) {
        let group = self.groups.get_mut(id).unwrap_or_else(|| panic!("no local group {id}"));
        edit(group);
        group.changed = Utc::now();
    }

    /// Deletes a group.
    pub fn remove_group(&mut self, id: &str) {
        self.groups.remove(id);
    }

    /// One full synchronisation.
    ///
    /// # Errors
    /// When a list cannot be read: the run is aborted before it writes anything.
    pub fn synchronise(&self) -> Result<Counts, String> {
        // Pocket ID waits five minutes after a change. Two milliseconds are enough to tell times of that unit apart.
        thread::sleep(Duration::from_millis(2));
        let mut counts = Counts::default();
        let remote_users: Vec<Remote> = self.list("/Users", &mut counts)?;
        let remote_groups: Vec<Remote> = self.list("/Groups", &mut counts)?;
        let provisioned = self.push_users(&remote_users, &mut counts);
        self.push_groups(&remote_groups, &provisioned, &mut counts);
        Ok(counts)
    }

    /// Returns the server's ids by local ids.
    fn push_users(&self, remote: &[Remote], counts: &mut Counts) -> BTreeMap<String, String> {
        let mut provisioned = BTreeMap::new();
        for (id, user) in self.users.iter().filter(|(_, user)| user.admitted) {
            let found = remote.iter().find(|one| one.external_id.as_deref() == Some(id));
            match self.push("/Users", found, user.changed, &user.body(id), counts) {
                Ok(remote_id) => {
                    provisioned.insert(id.clone(), remote_id);
                }
                Err(error) => counts.failures.push(format!("user {}: {error}", user.user_name)),
            }
        }
        let known = |id: &str| self.users.get(id).is_some_and(|user| user.admitted);
        self.delete_unknown("/Users", remote, known, counts);
        provisioned
    }

    fn push_groups(&self, remote: &[Remote], provisioned: &BTreeMap<String, String>, counts: &mut Counts) {
        for (id, group) in &self.groups {
            let found = remote.iter().find(|one| one.external_id.as_deref() == Some(id));
            let admitted = group.members.iter().filter(|member| self.users[*member].admitted);
            let members: Option<Vec<Value>> =
                admitted.map(|member| Some(json!({"value": provisioned.get(member)?}))).collect();
            let Some(members) = members else {
                counts.failures.push(format!("group {}: a member was not provisioned", group.friendly_name));
                continue;
            };
            let mut body = json!({"externalId": id, "schemas": [GROUP], "displayName": group.friendly_name});
            if !members.is_empty() {
                body["members"] = Value::from(members);
            }
            if let Err(error) = self.push("/Groups", found, group.changed, &body, counts) {
                counts.failures.push(format!("group {}: {error}", group.friendly_name));
            }
        }
        self.delete_unknown("/Groups", remote, |id| self.groups.contains_key(id), counts);
    }

    /// POST, PUT, or nothing when the local change is older than the server's `lastModified`.
    fn push(
        &self,
        endpoint: &str,
        found: Option<&Remote>,
        changed: DateTime<Utc>,
        body: &Value,
        counts: &mut Counts,
    ) -> Result<String, String> {
        let (method, path) = match found {
            None => ("POST", endpoint.to_owned()),
            Some(remote) if remote.last_modified()?.is_some_and(|modified| changed < modified) => {
                return Ok(remote.id.clone());
            }
            Some(remote) => ("PUT", format!("{endpoint}/{}", remote.id)),
        };
        *(if found.is_none() { &mut counts.post } else { &mut counts.put }) += 1;
        let response = self.send(method, &path, Some(body))?;
        if !matches!(response.status, 200 | 201) {
            return Err(format!("{method} {path} gave {}: {}", response.status, response.text()));
        }
        let answered: Remote = decode(&response)?;
        answered.last_modified()?;
        Ok(answered.id)
    }

    fn delete_unknown(&self, endpoint: &str, remote: &[Remote], known: impl Fn(&str) -> bool, counts: &mut Counts) {
        for one in remote.iter().filter(|one| !one.external_id.as_deref().is_some_and(&known)) {
            counts.delete += 1;
            match self.send("DELETE", &format!("{endpoint}/{}", one.id), None) {
                Ok(response) if matches!(response.status, 200 | 204 | 404) => {}
                Ok(response) => counts.failures.push(format!("DELETE {}: {}", one.id, response.text())),
                Err(error) => counts.failures.push(format!("DELETE {}: {error}", one.id)),
            }
        }
    }

    /// Every resource, page by page; the next page starts where the server says that this one ended.
    fn list(&self, endpoint: &str, counts: &mut Counts) -> Result<Vec<Remote>, String> {
        let mut held = Vec::new();
        let mut start = 1;
        for _ in 0..MOST_PAGES {
            let response = self.send("GET", &format!("{endpoint}?count=1000&startIndex={start}"), None)?;
            counts.get += 1;
            if response.status != 200 {
                return Err(format!("GET {endpoint} gave {}: {}", response.status, response.text()));
            }
            let page: Page = decode(&response)?;
            let resources = page.resources.unwrap_or_default();
            let empty = resources.is_empty();
            held.extend(resources);
            if empty || held.len() as u64 >= page.total_results {
                for one in &held {
                    one.last_modified()?;
                }
                return Ok(held);
            }
            start += page.items_per_page;
        }
        Err(format!("{endpoint} has no end"))
    }

    /// Sends with Pocket ID's headers; 429 is tried again twice after `Retry-After` or a doubling wait.
    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Response, String> {
        let mut headers = vec![
            ("User-Agent".to_owned(), "Go-http-client/1.1".to_owned()),
            ("Accept".to_owned(), "application/scim+json".to_owned()),
            ("Authorization".to_owned(), format!("Bearer {}", self.token)),
        ];
        let text = body.map(escaped);
        if text.is_some() {
            headers.push(("Content-Type".to_owned(), "application/scim+json".to_owned()));
        }
        let mut wait = Duration::from_millis(500);
        for attempt in 1.. {
            let response = self
                .client
                .send(method, path, &headers, text.as_deref().map(str::as_bytes))
                .map_err(|error| format!("{method} {path}: {error}"))?;
            if response.status != 429 || attempt == 3 {
                answer::check(&response, false).map_err(|error| format!("{method} {path}: {error}"))?;
                return Ok(response);
            }
            let told = response.header("retry-after").and_then(|value| value.parse().ok());
            thread::sleep(told.map_or(wait, Duration::from_secs));
            wait *= 2;
        }
        unreachable!("the third attempt returns")
    }
}

/// Go's JSON encoder writes these so that a body may stand inside HTML.
pub(crate) fn escaped(body: &Value) -> String {
    body.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}
