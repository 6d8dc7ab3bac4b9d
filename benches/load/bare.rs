//! The bare database: the same rows read and durably written with prepared statements, by nobody but a loop; what one of
//! them reads is also what [`crate::ceilings`] answers, and what one writes is what a bare [`server`] makes.
//!
//! It works on the very database that scimd has filled, while scimd has nothing to do: the same tables, indexes and
//! triggers, the same number of users. What a change writes is read back after scimd has made one ([`Changes`]).

mod rows;
mod server;
mod statement;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::available_parallelism;

use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;
use scimd::store::Connection;
use uuid::Uuid;

use self::rows::{Model, Pattern, Rows, Subject, read};
pub use self::server::Manner;
use self::statement::{Cell, Statement};
use crate::rounds::Turns;

/// The tenant of the users, `default`.
const TENANT: Cell = Cell::BigInt(1);

/// What is done in one go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// A resource by its id.
    ReadById,
    /// A resource by its unique value.
    ReadByKey,
    /// The first hundred of a list.
    ReadPage,
    Create,
    PatchActive,
    OneMember,
    ThousandMembers,
}

impl Deed {
    fn is_read(self) -> bool {
        matches!(self, Deed::ReadById | Deed::ReadByKey | Deed::ReadPage)
    }
}

/// What scimd writes for each change, by example.
pub struct Changes {
    create: Creation,
    /// By what `active` becomes.
    patch_active: [Edit; 2],
    /// Whether somebody comes: no, yes.
    one_member: [Edit; 2],
    thousand_members: [Edit; 2],
    /// The rows of their groups, and of the thousand.
    group: i64,
    group_of_thousand: i64,
    thousand: Vec<i64>,
    /// The unique value of a user, around the number.
    key: [String; 2],
}

struct Creation {
    resource: Pattern,
    values: Option<Pattern>,
    history: History,
}

/// What is written of a resource that is there: its row, the search index, members apart, the history.
struct Edit {
    update: Pattern,
    gone: Option<Pattern>,
    come: Option<Pattern>,
    history: History,
}

struct History {
    audit: Pattern,
    outbox: Option<Pattern>,
}

/// A user whose `active` is set, with the document for either.
struct Person {
    row_id: i64,
    id: String,
    number: usize,
    documents: [String; 2],
}

/// Everything that the loops need.
pub struct Bare<'a> {
    url: String,
    pub changes: Changes,
    people: Vec<Person>,
    ids: &'a [String],
    /// The number of the next user that nobody has made.
    next: &'a AtomicUsize,
    /// What each user's `active` was set to last.
    active: &'a [AtomicBool],
}

/// The state of one resource in all tables, to see what a change makes of it.
pub struct State {
    resource: Rows,
    values: Rows,
}

/// Whom to look at while scimd makes one change after the other.
///
/// A thousand have a group of their own. Loops that put somebody into the same group at once leave locks of many in its row
/// on PostgreSQL (MultiXacts), and every check of a foreign key looks at all of them until it is vacuumed.
pub struct Examples<'a> {
    pub user: &'a str,
    pub number: &'a str,
    pub group: &'a str,
    pub group_of_thousand: &'a str,
    pub thousand: &'a [String],
}

/// Whether a database of this URL is a file; otherwise it is a server.
pub fn is_sqlite(url: &str) -> bool {
    url.starts_with("sqlite:")
}

/// Connects as scimd's writer does, except that SQLite carries its log over by itself and PostgreSQL plans as it does for
/// everybody; every commit waits for the disk.
pub fn open(url: &str) -> Connection {
    match url.strip_prefix("sqlite:") {
        Some(file) => {
            let mut connection = SqliteConnection::establish(file).unwrap();
            let pragmas = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                           PRAGMA cache_size = -8192; PRAGMA wal_autocheckpoint = 8000";
            connection.batch_execute(pragmas).unwrap();
            Connection::Sqlite(connection)
        }
        None => Connection::Postgres(PgConnection::establish(url).unwrap()),
    }
}

impl Changes {
    /// Has scimd make each change once, by this closure, and looks what it writes.
    pub fn watch(url: &str, examples: &Examples<'_>, make: &mut dyn FnMut(Deed, bool)) -> Changes {
        let mut connection = open(url);
        let connection = &mut connection;
        let Examples { user, number, group, group_of_thousand, thousand } = *examples;
        let user_model = Model { id: user, number };
        let member_model = Model { id: &thousand[0], number: Model::NOBODY };
        let thousand_model = Model { id: Model::NOBODY, number: Model::NOBODY };
        let start = State::of(connection, user);
        let create = Creation {
            resource: Pattern::insert(&start.resource, "", " RETURNING row_id", user_model).unwrap(),
            values: Pattern::insert(&start.values, "row_id", "", user_model),
            history: History::last(connection, user, user_model),
        };
        let mut edit = |deed: Deed, id: &str, model: Model<'_>, comes: bool| {
            let before = State::of(connection, id);
            make(deed, comes);
            let after = State::of(connection, id);
            Edit {
                update: Pattern::update(&after.resource.changed(&before.resource)),
                gone: Pattern::delete(&before.values.without(&after.values), "row_id", model),
                come: Pattern::insert(&after.values.without(&before.values), "row_id", "", model),
                history: History::last(connection, id, model),
            }
        };
        let patch_active = [false, true].map(|active| edit(Deed::PatchActive, user, user_model, active));
        let [comes, goes] = [true, false].map(|comes| edit(Deed::OneMember, group, member_model, comes));
        let one_member = [goes, comes];
        let [comes, goes] =
            [true, false].map(|comes| edit(Deed::ThousandMembers, group_of_thousand, thousand_model, comes));
        let thousand_members = [goes, comes];
        let Cell::Text(key) = start.resource.value("unique_key") else { panic!("a user has a unique key") };
        let (before, behind) = key.split_once(number).unwrap();
        let [group, group_of_thousand] =
            [group, group_of_thousand].map(|group| row_ids(connection, &[group.to_owned()])[0]);
        Changes {
            create,
            patch_active,
            one_member,
            thousand_members,
            group,
            group_of_thousand,
            thousand: row_ids(connection, thousand),
            key: [before.to_owned(), behind.to_owned()],
        }
    }
}

impl State {
    fn of(connection: &mut Connection, id: &str) -> State {
        let row = format!("row_id = (SELECT row_id FROM resources WHERE id = '{id}')");
        State {
            resource: read(connection, "resources", &format!("id = '{id}'")),
            values: read(connection, "resource_values", &row),
        }
    }
}

impl History {
    /// What was written of the last change of a resource.
    fn last(connection: &mut Connection, id: &str, model: Model<'_>) -> History {
        let last = format!("(SELECT max(row_id) FROM audit WHERE resource_id = '{id}')");
        let audit = read(connection, "audit", &format!("row_id = {last}"));
        let outbox = read(connection, "outbox", &format!("audit_row_id = {last}"));
        History {
            audit: Pattern::insert(&audit, "", " RETURNING row_id", model).unwrap(),
            outbox: Pattern::insert(&outbox, "audit_row_id", "", model),
        }
    }

    fn write(&self, connection: &mut Connection, subject: &Subject<'_>) -> QueryResult<()> {
        let link = self.audit.number(connection, subject)?;
        write(&self.outbox, connection, &Subject { link, ..*subject })
    }
}

fn write(pattern: &Option<Pattern>, connection: &mut Connection, subject: &Subject<'_>) -> QueryResult<()> {
    pattern.iter().try_for_each(|pattern| pattern.execute(connection, subject).map(drop))
}

impl Creation {
    fn write(&self, connection: &mut Connection, subject: &Subject<'_>) -> QueryResult<()> {
        let link = self.resource.number(connection, subject)?;
        write(&self.values, connection, &Subject { link, ..*subject })?;
        self.history.write(connection, subject)
    }
}

impl Edit {
    /// The subject's link is the row that is changed.
    fn write(&self, connection: &mut Connection, subject: &Subject<'_>) -> QueryResult<()> {
        self.update.execute(connection, subject)?;
        write(&self.gone, connection, subject)?;
        write(&self.come, connection, subject)?;
        self.history.write(connection, subject)
    }
}

impl<'a> Bare<'a> {
    /// At most so many users have their `active` set, all over the table.
    const PEOPLE: usize = 10_000;

    pub fn new(
        url: &str,
        changes: Changes,
        ids: &'a [String],
        next: &'a AtomicUsize,
        active: &'a [AtomicBool],
    ) -> Bare<'a> {
        let step = ids.len().div_ceil(Bare::PEOPLE);
        let mut connection = open(url);
        let chosen: Vec<usize> = (0..ids.len()).step_by(step).collect();
        let people = chosen.chunks(500).flat_map(|numbers| people(&mut connection, ids, numbers)).collect();
        Bare { url: url.to_owned(), changes, people, ids, next, active }
    }

    /// A connection for such a deed. One for reads has read: PostgreSQL plans a statement anew five times before it keeps
    /// the plan, and nobody's first reads count.
    pub fn open_for(&self, deed: Deed) -> Connection {
        const FIRST: usize = 8;
        let mut connection = open(&self.url);
        if deed.is_read() {
            (0..FIRST).for_each(|number| drop(users(&mut connection, self.sought(deed, number)).unwrap()));
        }
        connection
    }

    /// Whether all changes are made by one connection.
    pub fn has_one_writer(&self) -> bool {
        is_sqlite(&self.url)
    }

    /// How many clients ask at once: SQLite has one writer, and readers that never wait; of PostgreSQL each connection is
    /// a client.
    pub fn clients(&self, deed: Deed, connections: usize) -> usize {
        match (is_sqlite(&self.url), deed.is_read()) {
            (true, false) => 1,
            (true, true) => connections.min(available_parallelism().map_or(1, usize::from)),
            (false, _) => connections,
        }
    }

    /// Does so many in one transaction; reads have none.
    pub fn turn(&self, connection: &mut Connection, deed: Deed, together: usize, turns: &mut Turns) -> bool {
        if deed.is_read() {
            return self.look(connection, deed, turns).unwrap();
        }
        let begin = if matches!(connection, Connection::Sqlite(_)) { "BEGIN IMMEDIATE" } else { "BEGIN" };
        let outcome = connection
            .batch_execute(begin)
            .and_then(|()| (0..together).try_for_each(|number| self.change(connection, deed, number, turns)))
            .and_then(|()| connection.batch_execute("COMMIT"));
        outcome.inspect_err(|error| eprintln!("{deed:?}: {error}")).is_ok() || {
            drop(connection.batch_execute("ROLLBACK"));
            false
        }
    }

    fn look(&self, connection: &mut Connection, deed: Deed, turns: &mut Turns) -> QueryResult<bool> {
        let sought = self.sought(deed, turns.below(self.ids.len()));
        let found = users(connection, sought)?;
        Ok(found.len() == if deed == Deed::ReadPage { 100 } else { 1 })
    }

    /// Whom such a read is about, if it is about the user of that number.
    pub fn sought(&self, deed: Deed, number: usize) -> Sought {
        match deed {
            Deed::ReadByKey => Sought::Key(self.changes.key.join(&crate::people::digits(number))),
            Deed::ReadPage => Sought::First,
            _ => Sought::Id(self.ids[number].clone()),
        }
    }

    /// One change, the so-manieth of its transaction.
    fn change(&self, connection: &mut Connection, deed: Deed, number: usize, turns: &mut Turns) -> QueryResult<()> {
        let Changes { create, patch_active, one_member, thousand_members, .. } = &self.changes;
        let Changes { group, group_of_thousand, thousand, .. } = &self.changes;
        match deed {
            Deed::Create => {
                let number = crate::people::digits(self.next.fetch_add(1, Ordering::Relaxed));
                let id = Uuid::now_v7().to_string();
                create.write(connection, &Subject { id: &id, number: &number, ..Subject::default() })
            }
            Deed::PatchActive => {
                let person = &self.people[turns.own_below(self.people.len())];
                let active = usize::from(!self.active[person.number].fetch_xor(true, Ordering::Relaxed));
                let number = crate::people::digits(person.number);
                let document = &person.documents[active];
                patch_active[active]
                    .write(connection, &Subject { id: &person.id, number: &number, link: person.row_id, document })
            }
            Deed::OneMember => {
                // Each change of each client has a member of its own, who comes in one turn and goes in the next.
                let place = (turns.client + number * turns.clients) % thousand.len();
                let comes = turns.is_even();
                change_members(connection, *group, &thousand[place..=place], comes)?;
                let subject = Subject { id: &self.ids[place], link: *group, ..Subject::default() };
                one_member[usize::from(comes)].write(connection, &subject)
            }
            Deed::ThousandMembers => {
                let comes = turns.is_even();
                let group = *group_of_thousand;
                thousand.chunks(500).try_for_each(|some| change_members(connection, group, some, comes))?;
                thousand_members[usize::from(comes)].write(connection, &Subject { link: group, ..Subject::default() })
            }
            _ => unreachable!("a read changes nothing"),
        }
    }
}

fn change_members(connection: &mut Connection, group: i64, members: &[i64], come: bool) -> QueryResult<()> {
    let mut texts = vec![if come {
        "INSERT INTO group_members (group_row_id, member_row_id) VALUES (".to_owned()
    } else {
        "DELETE FROM group_members WHERE group_row_id = ".to_owned()
    }];
    let mut cells = Vec::with_capacity(members.len() * 2);
    for (number, member) in members.iter().enumerate() {
        if come || number == 0 {
            cells.push(Cell::BigInt(group));
            texts.push(if come { ", " } else { " AND member_row_id IN (" }.to_owned());
        }
        cells.push(Cell::BigInt(*member));
        let is_last = number + 1 == members.len();
        texts.push(
            if is_last {
                ")"
            } else if come {
                "), ("
            } else {
                ", "
            }
            .to_owned(),
        );
    }
    Statement::<()>::new(&texts, &cells).execute(connection).map(drop)
}

/// Whom a read is about.
pub enum Sought {
    /// The user of that id.
    Id(String),
    /// The user of that unique value.
    Key(String),
    /// The first hundred.
    First,
}

/// The users that are sought. With one of them come the groups that he is in, as the answer tells them; a page has the documents
/// alone, since a join would read each as often as its user is in a group.
pub fn users(connection: &mut Connection, sought: Sought) -> QueryResult<Vec<User>> {
    const ONE: [&str; 2] = [
        "SELECT r.row_id, r.document, r.version, g.id, g.display_name FROM resources r \
         LEFT JOIN group_members m ON m.member_row_id = r.row_id LEFT JOIN resources g ON g.row_id = m.group_row_id \
         WHERE r.deleted_at IS NULL AND r.tenant_id = ",
        " AND r.resource_type = ",
    ];
    const PAGE: [&str; 2] = [
        "SELECT row_id, document, version, CAST(NULL AS TEXT), CAST(NULL AS TEXT) FROM resources \
         WHERE deleted_at IS NULL AND tenant_id = ",
        " AND resource_type = ",
    ];
    let ([select, of_type], condition, value, page) = match sought {
        Sought::Id(id) => (ONE, " AND r.id = ", Cell::Text(id), ""),
        Sought::Key(key) => (ONE, " AND r.unique_key = ", Cell::Text(key), ""),
        Sought::First => (PAGE, " AND row_id > ", Cell::BigInt(0), " ORDER BY row_id LIMIT 100"),
    };
    let texts = [select, of_type, condition, page].map(str::to_owned);
    let rows = Statement::new(&texts, &[TENANT, Cell::Text("User".to_owned()), value]).users_and_groups(connection)?;
    // The rows of one user stand together: there is no other, or each has one.
    let mut users: Vec<User> = Vec::new();
    for (row_id, document, version, group, display) in rows {
        if users.last().is_none_or(|user| user.row_id != row_id) {
            users.push(User { row_id, document, version, groups: Vec::new() });
        }
        if let (Some(user), Some(id)) = (users.last_mut(), group) {
            user.groups.push((id, display));
        }
    }
    Ok(users)
}

/// A user as a bare read sees him.
pub struct User {
    row_id: i64,
    pub document: String,
    pub version: i64,
    /// Id and displayName.
    pub groups: Vec<(String, Option<String>)>,
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    row_id: i64,
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    document: String,
}

/// The resources of these ids, in the order of the ids.
fn found(connection: &mut Connection, ids: &[&String]) -> Vec<Found> {
    let list: Vec<String> = ids.iter().map(|id| format!("'{id}'")).collect();
    let query = format!("SELECT row_id, id, document FROM resources WHERE id IN ({})", list.join(", "));
    let mut found: Vec<Found> = diesel::sql_query(query).load(connection).unwrap();
    let place = |id: &String| ids.iter().position(|one| *one == id).unwrap();
    found.sort_by_key(|one| place(&one.id));
    found
}

fn row_ids(connection: &mut Connection, ids: &[String]) -> Vec<i64> {
    found(connection, &ids.iter().collect::<Vec<_>>()).iter().map(|one| one.row_id).collect()
}

fn people(connection: &mut Connection, ids: &[String], numbers: &[usize]) -> Vec<Person> {
    let wanted: Vec<&String> = numbers.iter().map(|number| &ids[*number]).collect();
    let person = |(found, number): (Found, &usize)| {
        let [disabled, enabled] = ["\"active\":false", "\"active\":true"];
        let document = found.document.replace(disabled, enabled);
        let documents = [document.replace(enabled, disabled), document];
        assert_ne!(documents[0], documents[1], "a document says whether it is active");
        Person { row_id: found.row_id, id: found.id, number: *number, documents }
    };
    found(connection, &wanted).into_iter().zip(numbers).map(person).collect()
}
