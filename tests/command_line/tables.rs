//! Users from a table: what other programs write, and what is said of what is wrong with it.

use serde_json::{Value, json};

use super::transfer::{ENTERPRISE, feed};
use crate::{Workplace, on_each_database};

#[test]
fn users_come_from_a_table() {
    on_each_database(|workplace| {
        let table = "\u{feff}Login;name.givenName;emails;active;manager;groups;Notes;department\r\n\
            mira;Mira;m@x.org;yes;boss;Staff; Sales \r\n\
            \"bo;b\";\"Bob\nJr\";;no;;Staff;\"x\";\r\n\
            boss;The Boss;b@x.org;;;\"Staff;Heads\";;Board\r\n";
        // One cell is missing in the first line.
        let map = ["--csv", "--map", "Login=userName", "--map", "Notes=", "--create-groups"];
        let with = |more: &[&'static str]| [&["import", "-"][..], &map, more].concat();
        let (code, problems, _) = feed(workplace, &with(&[]), table);
        assert_eq!(code, Some(1), "{problems}");
        assert!(problems.contains("2     ") && problems.contains("7 cells, and there are 8 columns"), "{problems}");
        let table = table.replace("Staff; Sales ", "Staff;; Sales ");

        let (code, _, told) = feed(workplace, &with(&["--dry-run"]), &table);
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("2 Group, 3 User"), "{told}");
        assert_eq!(workplace.json(&["user", "list", "--json"]), json!([]));
        let (code, _, told) = feed(workplace, &with(&[]), &table);
        assert_eq!(code, Some(0), "{told}");

        let list = workplace.json(&["user", "list", "--json"]);
        let by_name = |name: &str| {
            let all = list.as_array().unwrap();
            let found = all.iter().find(|entry| entry["resource"]["userName"] == name).unwrap();
            let id = found["resource"]["id"].as_str().unwrap();
            workplace.json(&["user", "show", id, "--json"])["resource"].clone()
        };
        let (mira, bob, boss) = (by_name("mira"), by_name("bo;b"), by_name("boss"));
        assert_eq!(mira["emails"], json!([{"value": "m@x.org", "type": "work", "primary": true}]));
        assert_eq!((&mira["active"], &bob["active"], &boss["active"]), (&json!(true), &json!(false), &json!(true)));
        assert_eq!(bob["name"]["givenName"], "Bob\nJr");
        assert_eq!(mira[ENTERPRISE]["department"], "Sales");
        assert_eq!(mira[ENTERPRISE]["manager"]["value"], boss["id"], "who stands further down");
        let groups = |user: &Value| {
            let groups = user["groups"].as_array().cloned().unwrap_or_default();
            groups.iter().map(|group| group["display"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!((groups(&mira), groups(&bob)), (vec!["Staff".to_owned()], vec!["Staff".to_owned()]));
        assert_eq!(groups(&boss).len(), 2);

        // Again: who is there is passed over, or updated where something is said.
        let again = table.replace("m@x.org", "mo@x.org");
        let (code, _, told) = feed(workplace, &with(&[]), &again);
        assert_eq!(code, Some(0), "{told}");
        assert!(
            told.contains("nothing new; passed over: 3") && told.contains("Line 2 is passed over: `mira`"),
            "{told}"
        );
        assert_eq!(by_name("mira"), mira);
        let (code, _, told) = feed(workplace, &with(&["--update"]), &again);
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("nothing new; changed: 1 User"), "{told}");
        assert_eq!(by_name("mira")["emails"][0]["value"], "mo@x.org");
        assert_eq!(by_name("mira")["emails"].as_array().unwrap().len(), 1);
        assert_eq!(by_name("bo;b"), bob);

        // Whoever is new, or changed twice, counts once.
        let further_down = "userName,title,manager\nnew,,below\nmira,Dr,below\nbo;b,,below\nbelow,,\n";
        let (code, _, told) = feed(workplace, &["import", "-", "--csv", "--update"], further_down);
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("new: 2 User; changed: 2 User"), "{told}");

        // A cell is about the values of its type alone.
        let home = "userName,\"emails[type eq \"\"home\"\"].value\"\nmira,home@x.org\n";
        let work = "userName;emails\nmira;\"one@x.org; two@x.org\"\n";
        for table in [home, work, work] {
            let (code, _, told) = feed(workplace, &["import", "-", "--csv", "--update"], table);
            assert_eq!(code, Some(0), "{told}");
        }
        let mira = by_name("mira");
        let mut emails: Vec<_> = mira["emails"].as_array().unwrap().iter().map(|mail| &mail["value"]).collect();
        emails.sort_by_key(|mail| mail.to_string());
        assert_eq!(emails, ["home@x.org", "one@x.org", "two@x.org"]);
    });
}

#[test]
fn a_table_with_bad_lines_is_refused_line_by_line_and_column_by_column() {
    on_each_database(|workplace| {
        let table = "userName,active,groups,manager,locale\n\
            a,true,,,\n\
            b,perhaps,,,\n\
            ,true,,,\n\
            A,true,,,\n\
            c,true,Nowhere,,\n\
            d,true,,nobody,\n\
            e,true\n\
            f,true,,,\n";
        let (code, output, _) = feed(workplace, &["import", "-", "--csv", "--json"], table);
        let outcome: Value = serde_json::from_str(&output).unwrap();
        let problems: Vec<(u64, Option<&str>)> = outcome["problems"]
            .as_array()
            .unwrap()
            .iter()
            .map(|problem| (problem["line"].as_u64().unwrap(), problem["column"].as_str()))
            .collect();

        assert_eq!((code, &outcome["imported"]), (Some(1), &json!(false)));
        let expected = [
            (3, Some("active")),
            (4, Some("userName")),
            (5, Some("userName")),
            (6, Some("groups")),
            (7, Some("manager")),
            (8, None),
        ];
        assert_eq!(problems, expected, "{outcome:#}");
        assert_eq!(workplace.json(&["user", "list", "--json"]), json!([]), "nothing of the good lines either");
        for (table, part) in [
            ("", "the titles of the columns are missing"),
            ("{\"format\":\"scimd-export\"}\n", "imported without `--csv`"),
            ("userName,title\nx,\"Dr\ny,Dr\nz,Dr\n", "Line 2: a quotation mark opens here that nothing closes"),
        ] {
            let (code, output, told) = feed(workplace, &["import", "-", "--csv", "--passwords"], table);
            assert_eq!((code, output.as_str()), (Some(1), ""), "{told}");
            assert!(told.contains(part), "{told}");
        }
        assert_eq!(workplace.run(&["import", "-", "--update"]).status.code(), Some(2), "of a table alone");
    });
}

#[test]
fn each_line_that_the_database_refuses_is_told() {
    on_each_database(|workplace| {
        let badge = json!({"name": "badge", "type": "string", "uniqueness": "server"});
        let types = json!([
            {"id": "urn:example:Badge", "attributes": [badge]},
            {"id": "User", "schemaExtensions": [{"schema": "urn:example:Badge", "required": false}]},
        ]);
        std::fs::create_dir(workplace.directory.path().join("schemas")).unwrap();
        std::fs::write(workplace.directory.path().join("schemas/badge.json"), types.to_string()).unwrap();
        let import = ["import", "-", "--csv", "--json", "--schemas", "schemas"];
        let table = "userName,urn:example:Badge:badge\na,1\nb,1\nc,2\nd,3\ne,2\n";

        let (code, output, _) = feed(workplace, &import, table);

        let outcome: Value = serde_json::from_str(&output).unwrap();
        let lines: Vec<_> = outcome["problems"].as_array().unwrap().iter().map(|problem| &problem["line"]).collect();
        assert_eq!((code, &outcome["imported"]), (Some(1), &json!(false)));
        assert_eq!(lines, [3, 6], "{outcome:#}");
        let list = ["user", "list", "--json", "--schemas", "schemas"];
        assert_eq!(workplace.json(&list), json!([]), "nothing of the good lines either");

        // The same of those who are there, whether it is only tried or not.
        let good = "userName,urn:example:Badge:badge\na,1\nb,2\n";
        assert_eq!(feed(workplace, &import, good).0, Some(0));
        let update = [&import[..], &["--update"]].concat();
        let table = "userName,urn:example:Badge:badge,title\na,2,Dr\nnew,,\nb,1,Dr\n";
        for arguments in [[&update[..], &["--dry-run"]].concat(), update.clone()] {
            let (code, output, _) = feed(workplace, &arguments, table);
            let outcome: Value = serde_json::from_str(&output).unwrap();
            let problems = outcome["problems"].as_array().unwrap().iter();
            let lines: Vec<_> = problems.map(|problem| &problem["line"]).collect();
            assert_eq!((code, lines), (Some(1), vec![&json!(2), &json!(4)]), "{outcome:#}");
        }
        assert_eq!(workplace.json(&list).as_array().unwrap().len(), 2);
    });
}

/// What a program for personnel hands out, as it is.
const PERSONNEL: &str = "\u{feff}Email;First name;Last Name;Department;Manager;Mobile phone;Status;Shoe size;\r\n\
    mira@x.org;Mira;Oksanen;Sales;boss@x.org;\"+1 | 2\";Active;38;\r\n\
    boss@x.org;Bo;\"O;S\";Board;;;inactive;;\r\n\
    ;;;;;;;;\r\n";

#[test]
fn a_table_of_another_program_needs_one_look_and_one_paste() {
    on_each_database(|workplace| {
        let (code, output, told) = feed(workplace, &["import", "-", "--csv", "--json"], PERSONNEL);
        let outcome: Value = serde_json::from_str(&output).unwrap();
        let problems: Vec<(&str, bool)> = outcome["problems"]
            .as_array()
            .unwrap()
            .iter()
            .map(|problem| {
                (
                    problem["column"].as_str().unwrap_or_default(),
                    problem["reason"].as_str().unwrap().contains("did you mean"),
                )
            })
            .collect();
        let expected = [
            ("Email", true),
            ("First name", true),
            ("Last Name", true),
            ("Mobile phone", true),
            ("Status", true),
            ("Shoe size", false),
            ("", false),
        ];
        assert_eq!((code, problems), (Some(1), expected.to_vec()), "{outcome:#}");
        assert!(told.ends_with("error: Nothing is imported: 7 things are wrong or in the way.\n"), "{told}");

        // When what it says is typed as it stands.
        let flags = told.lines().find_map(|line| line.split_once("pass them over: ")).unwrap().1;
        let table = workplace.directory.path().join("people.csv");
        std::fs::write(&table, PERSONNEL).unwrap();
        let program = workplace.command(&[]);
        let line = format!("{} import people.csv --csv {flags}", program.get_program().display());
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &line]).env_clear().current_dir(workplace.directory.path());
        shell
            .env("HOME", workplace.directory.path())
            .envs(workplace.postgres.as_ref().map(|url| ("SCIMD_DATABASE_URL", url)));
        let output = shell.output().unwrap();

        let (code, _, told) = super::transfer::ended(&output);
        assert_eq!(code, Some(0), "{told}");
        let list = workplace.json(&["user", "list", "--json"]);
        let find = |name: &str| {
            let found = list.as_array().unwrap().iter().find(|entry| entry["resource"]["userName"] == name).unwrap();
            workplace.json(&["user", "show", found["resource"]["id"].as_str().unwrap(), "--json"])["resource"].clone()
        };
        let (mira, boss) = (find("mira@x.org"), find("boss@x.org"));
        assert_eq!(mira["name"], json!({"givenName": "Mira", "familyName": "Oksanen"}));
        assert_eq!(mira["emails"][0]["value"], "mira@x.org");
        assert_eq!(
            (&mira["phoneNumbers"][0]["type"], &mira["phoneNumbers"][0]["value"]),
            (&json!("mobile"), &json!("+1 | 2"))
        );
        assert_eq!(mira[ENTERPRISE]["manager"]["value"], boss["id"]);
        assert_eq!(
            (&mira["active"], &boss["active"], &boss["name"]["familyName"]),
            (&json!(true), &json!(false), &json!("O;S"))
        );
    });
}

#[test]
fn what_the_titles_do_not_cover_is_told_with_its_line() {
    let workplace = Workplace::sqlite();
    let problems = |table: &str, arguments: &[&str]| {
        let (code, output, _) = feed(&workplace, &[&["import", "-", "--csv", "--json"][..], arguments].concat(), table);
        let outcome: Value = serde_json::from_str(&output).unwrap();
        assert_eq!(code, Some(1), "{outcome:#}");
        let first = outcome["problems"][0].clone();
        (first["line"].as_u64().unwrap(), first["reason"].as_str().unwrap().to_owned())
    };
    assert_eq!(problems("userName,\na,\nb,x\n", &[]), (3, "`x` stands where the column has no title".to_owned()));
    assert_eq!(problems("userName,password\na,x\n", &["--passwords"]).1, "is the password, which can't be imported");
    let long = format!("userName,{}\na,b\n", "x".repeat(1_001));
    let (code, _, told) = feed(&workplace, &["import", "-", "--csv"], &long);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("Line 1: the title of column 2 has more than 1000 characters"), "{told}");
    assert!(problems(&long.replacen('x', "", 1), &[]).1.contains("names no attribute"));
    workplace.succeed(&["tenant", "set", "default", "--max-groups", "1"]);
    let (line, reason) = problems("userName;groups\na;G\nb;H\nc;H\n", &["--create-groups"]);
    assert!(line == 3 && reason.contains("as many resources of the type Group"), "{line}: {reason}");
}

#[test]
fn a_table_in_another_encoding_is_refused_with_what_to_do() {
    let workplace = Workplace::sqlite();
    for (table, line, encoding) in [
        (&b"userName;title\r\na;x\r\nb;M\xFCller\r\nc;M\xFCller\r\n"[..], 3, "WINDOWS-1252"),
        (b"userName;t\xFCtle\r\n", 1, "WINDOWS-1252"),
        (b"\xFF\xFEu\0s\0", 1, "UTF-16"),
    ] {
        std::fs::write(workplace.directory.path().join("people.csv"), table).unwrap();
        let told = workplace.fail(&["import", "--csv", "people.csv"]);
        assert!(told.contains(&format!("Line {line}: this is no UTF-8")), "{told}");
        assert!(told.contains(&format!("iconv -f {encoding} -t UTF-8")), "{told}");
    }
    assert_eq!(workplace.json(&["user", "list", "--json"]), json!([]));
}
