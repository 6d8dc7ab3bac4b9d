//! Backups of a SQLite database that is written to.

use std::fs;
use std::path::Path;

use diesel::sql_types::BigInt;

use super::*;
use crate::store::sql::Sql;

fn opened(file: &Path) -> Store {
    Store::open(&Settings::new(DatabaseUrl::Sqlite(file.to_owned()))).unwrap()
}

fn in_directory(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn a_backup_is_a_whole_database_of_one_moment_while_others_write() {
    on_sqlite(|settings| async move {
        let store = migrated(&settings);
        let target = tempfile::tempdir().unwrap();
        let file = target.path().join("backup.db");
        let (release, _held) = held(&store).await;
        let waiting = queued(&store, |c| insert(c, "later")).await;

        let size = {
            let (store, file) = (store.clone(), file.clone());
            tokio::task::spawn_blocking(move || store.backup(&file, false, |_, _| {})).await.unwrap().unwrap()
        };
        drop(release);
        waiting.await.unwrap().unwrap();

        assert_eq!(in_directory(target.path()), ["backup.db"]);
        assert_eq!(size, file.metadata().unwrap().len());
        let copy = opened(&file);
        assert_eq!(copy.pending_migrations().unwrap(), Vec::<String>::new());
        assert_eq!(stored(&copy).await, ["default"]);
        assert_eq!(stored(&store).await, ["default", "later"]);
        // The plans of queries hang on these, and the numbers of rows on the others.
        let kept = "SELECT (SELECT count(*) FROM sqlite_stat1) * 100 + (SELECT count(*) FROM sqlite_sequence)";
        let kept = |store: &Store| {
            let store = store.clone();
            async move { store.read(Reach::Point, move |c| Ok(Sql::<BigInt>::new(kept).get_result::<i64>(c)?)).await }
        };
        assert_eq!(kept(&copy).await.unwrap(), kept(&store).await.unwrap());
        assert!(kept(&copy).await.unwrap() > 100);
    });
}

#[cfg(unix)]
#[test]
fn a_backup_is_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    on_sqlite(|settings| async move {
        let store = migrated(&settings);
        let target = tempfile::tempdir().unwrap();
        let file = target.path().join("backup.db");
        store.backup(&file, false, |_, _| {}).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    });
}

#[test]
fn a_backup_replaces_a_file_when_told_to_and_the_database_never() {
    on_sqlite(|settings| async move {
        let store = migrated(&settings);
        let target = tempfile::tempdir().unwrap();
        let file = target.path().join("backup.db");
        fs::write(&file, "of yesterday").unwrap();
        let DatabaseUrl::Sqlite(database) = &settings.database_url else { panic!("SQLite") };
        let live = database.parent().unwrap().join(".").join(database.file_name().unwrap());
        let refusal = |file: &Path, replace| store.backup(file, replace, |_, _| {}).unwrap_err().detail().to_owned();

        let there = refusal(&file, false);
        let itself = refusal(&live, true);
        let nowhere = refusal(&target.path().join("missing/backup.db"), false);
        let directory = refusal(target.path(), true);

        assert!(there.contains("--force"), "{there}");
        assert!(itself.contains("is the database itself"), "{itself}");
        assert!(nowhere.contains("cannot be written") && nowhere.contains("nothing of it is left"), "{nowhere}");
        assert!(directory.contains("is a directory"), "{directory}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "of yesterday");
        assert_eq!(in_directory(target.path()), ["backup.db"]);
        store.backup(&file, true, |_, _| {}).unwrap();
        assert_eq!(stored(&opened(&file)).await, ["default"]);
    });
}

#[test]
fn postgresql_has_its_own_tools_for_backups() {
    on_each_database(|Fixture { store, postgres }| async move {
        if !postgres {
            return;
        }
        let target = tempfile::tempdir().unwrap();
        let refused = store.backup(&target.path().join("backup.db"), false, |_, _| {}).unwrap_err();
        assert!(refused.detail().contains("pg_dump"), "{refused}");
        assert_eq!(in_directory(target.path()), Vec::<String>::new());
    });
}
