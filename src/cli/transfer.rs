//! `scimd export`, `import` and `backup`: what goes in and out as a whole.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use clap::Args;

use super::instant::instant;
use super::progress::Bar;
use super::table::{printable, table};
use super::{Office, Report};
use crate::admin::Desk;
use crate::admin::transfer::{self, CSV, End, NDJSON, Outcome, Problem, Progress, Spool};
use crate::scim::{Error, ErrorKind, Result};
use crate::store::kept::Kept;

/// How many lines that were passed over are named.
const MOST_NAMED: usize = 20;

/// `scimd export`.
#[derive(Debug, Args)]
pub struct Export {
    /// The tenant to export
    #[arg(long, default_value = "default")]
    tenant: String,
    /// The state at this time, exactly, from the history
    #[arg(long, value_name = "TIME", value_parser = instant)]
    at: Option<DateTime<Utc>>,
    /// Also what is deleted
    #[arg(long)]
    deleted: bool,
    /// Also the hashes of passwords, attributes that are never returned, and values that no schema defines any more
    #[arg(long, conflicts_with = "at")]
    with_password_hashes: bool,
    /// Write to this file, which gets its name once it is whole; otherwise to standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long, requires = "output")]
    force: bool,
}

impl Export {
    /// Does what the command says.
    ///
    /// # Errors
    /// An unknown tenant, a time in the future, a file that is there or can't be written; those of the office.
    pub async fn run(self, office: &Office) -> Result<Report> {
        let Export { tenant, at, deleted, with_password_hashes: password_hashes, output, force } = self;
        let question = transfer::Export { tenant: tenant.clone(), at, deleted, password_hashes };
        let Some(file) = output else { return to_standard_output(office, question).await };
        let kept = Arc::new(Mutex::new(Kept::new(&file, force)?));
        let writing = Arc::clone(&kept);
        let take = move |piece: Vec<u8>| writing.lock().unwrap_or_else(PoisonError::into_inner).write(&piece);
        let lack = hand_over(office, question, true, take).await?;
        let kept = Arc::into_inner(kept).ok_or_else(|| Error::internal("somebody still writes"))?;
        let size = kept.into_inner().unwrap_or_else(PoisonError::into_inner).keep()?;
        let report = Report::default().note(format!("Tenant `{tenant}` is in {} ({size} bytes).", file.display()));
        Ok(lack.into_iter().fold(report, Report::note))
    }
}

/// A reader that has had enough (`| head`) ends it, and nothing is wrong.
async fn to_standard_output(office: &Office, question: transfer::Export) -> Result<Report> {
    let gone = Arc::new(AtomicBool::new(false));
    let is_gone = Arc::clone(&gone);
    let written = hand_over(office, question, !io::stdout().is_terminal(), move |piece| {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&piece).and_then(|()| stdout.flush()).map_err(|cause| {
            is_gone.store(cause.kind() == io::ErrorKind::BrokenPipe, Ordering::Relaxed);
            Error::new(ErrorKind::Unavailable, format!("Standard output cannot be written ({cause})."))
        })
    });
    match written.await {
        Err(_) if gone.load(Ordering::Relaxed) => Ok(Report::default()),
        outcome => outcome.map(|lack| lack.into_iter().fold(Report::default(), Report::note)),
    }
}

/// Hands over every piece; what is missing in the export, if something is.
async fn hand_over(
    office: &Office,
    question: transfer::Export,
    with_bar: bool,
    mut take: impl FnMut(Vec<u8>) -> Result<()> + Send + 'static,
) -> Result<Option<String>> {
    let shown = |bar: fn() -> Bar| if with_bar { bar() } else { Bar::hidden() };
    let (last_bytes, is_of_the_past) = (LastBytes::default(), question.at.is_some());
    let passing = last_bytes.clone();
    let mut take = move |piece: Vec<u8>| {
        passing.note(&piece);
        take(piece)
    };
    match office {
        Office::Here(desk) => {
            let bar = shown(|| Bar::counting("resources"));
            let take = move |piece, progress| {
                bar.set(progress);
                take(piece)
            };
            question.carry_out(desk, take).await.map(drop)?;
        }
        Office::There(server) => {
            let bar = shown(Bar::of_a_stream);
            server.receive(&transfer::Export::ROUTE, &question, |piece| {
                bar.advance(piece.len());
                take(piece)
            })?;
        }
    }
    Ok(last_bytes.end().and_then(|end| end.lack(is_of_the_past)))
}

/// The end of what goes by, whose last line tells of the whole.
#[derive(Clone, Default)]
struct LastBytes(Arc<Mutex<Vec<u8>>>);

impl LastBytes {
    /// More than the last line has.
    const MOST: usize = 1024;

    fn note(&self, piece: &[u8]) {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.extend_from_slice(&piece[piece.len().saturating_sub(Self::MOST)..]);
        let surplus = bytes.len().saturating_sub(Self::MOST);
        bytes.drain(..surplus);
    }

    fn end(&self) -> Option<End> {
        End::of_last_bytes(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// `scimd import`.
#[derive(Debug, Args)]
pub struct Import {
    /// What `scimd export` has written, or a table with `--csv`; `-` is standard input
    #[arg(value_name = "FILE")]
    source: PathBuf,
    /// The tenant to import into
    #[arg(long, default_value = "default")]
    tenant: String,
    /// Do everything but keep it
    #[arg(long)]
    dry_run: bool,
    /// It is a table of users (CSV)
    #[arg(long)]
    csv: bool,
    /// Of a table: the column TITLE means ATTRIBUTE, or several if it is said several times; an empty one passes it over
    #[arg(long, value_name = "TITLE=ATTRIBUTE", requires = "csv")]
    map: Vec<String>,
    /// Of a table: what stands between two cells (`;`, `tab`); otherwise what the first line has most of
    #[arg(long, value_name = "CHARACTER", requires = "csv")]
    delimiter: Option<String>,
    /// Of a table: give users who are there what it says of them; otherwise they are passed over
    #[arg(long, requires = "csv")]
    update: bool,
    /// Of a table: make the groups that are missing
    #[arg(long, requires = "csv")]
    create_groups: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Import {
    /// Does what the command says.
    ///
    /// # Errors
    /// A file that can't be read or is none that can be imported; those of the office.
    pub async fn run(self, office: &Office) -> Result<Report> {
        let Import { source, tenant, dry_run, csv, map, delimiter, update, create_groups, json } = self;
        let question = transfer::Import { tenant, dry_run, delimiter, map, update, create_groups };
        let outcome = match office {
            Office::Here(desk) => {
                let (spool, bar) = (Arc::new(spool(desk, &source)?), Bar::of_bytes());
                let told = move |progress| bar.set(progress);
                match csv {
                    true => question.carry_out_table(desk, spool, told).await?,
                    false => question.carry_out(desk, spool, told).await?,
                }
            }
            Office::There(server) => {
                let source = Watched { source: opened(&source)?, bar: Bar::of_a_stream() };
                server.send(&transfer::Import::ROUTE, &question, if csv { CSV } else { NDJSON }, source)?
            }
        };
        report(&outcome, json)
    }
}

/// The bytes of a file or of standard input.
fn opened(source: &Path) -> Result<Box<dyn Read>> {
    Ok(match file(source)? {
        Some(file) => Box::new(file),
        None => Box::new(io::stdin()),
    })
}

/// The file, opened once: a pipe with a name has no second beginning. `None` for standard input.
fn file(source: &Path) -> Result<Option<File>> {
    let refused = |detail: String| Error::new(ErrorKind::InvalidValue, detail);
    if source == Path::new("-") {
        return Ok(None);
    }
    if source.is_dir() {
        return Err(refused(format!("{} is a directory; name a file.", source.display())));
    }
    let file = File::open(source).map_err(|cause| refused(format!("{} cannot be read ({cause}).", source.display())));
    file.map(Some)
}

/// A file can be read twice as it is; anything else is kept first.
fn spool(desk: &Desk, source: &Path) -> Result<Spool> {
    match file(source)? {
        Some(file) if file.metadata().is_ok_and(|file| file.is_file()) => Ok(Spool::of_file(file)),
        Some(pipe) => filled(desk, pipe),
        None => filled(desk, io::stdin()),
    }
}

fn filled(desk: &Desk, source: impl Read) -> Result<Spool> {
    let mut spool = transfer::spool(desk)?;
    spool.fill(source).map(|()| spool)
}

struct Watched {
    source: Box<dyn Read>,
    bar: Bar,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.bar.advance(read);
        Ok(read)
    }
}

fn report(outcome: &Outcome, json: bool) -> Result<Report> {
    let count = outcome.problems.len() as u64 + outcome.more_problems;
    let failure = (count > 0).then(|| match count {
        1 => "Nothing is imported: one thing is wrong or in the way.".to_owned(),
        count => format!("Nothing is imported: {count} things are wrong or in the way."),
    });
    let report = match (json, &failure) {
        (true, _) => Report::json(outcome)?,
        (false, Some(_)) => Report::text(listed(&outcome.problems)),
        (false, None) => skipped(Report::default().note(summary(outcome)), outcome),
    };
    let report = outcome.notes.iter().fold(report, |report, note| report.note(note.clone()));
    Ok(match failure {
        Some(sentence) => report.failed(sentence),
        None => report,
    })
}

fn listed(problems: &[Problem]) -> String {
    let row = |problem: &Problem| {
        [problem.line.to_string(), problem.column.clone().unwrap_or_default(), problem.reason.clone()]
    };
    table(["LINE", "COLUMN", "WHAT IS WRONG"], &problems.iter().map(row).collect::<Vec<_>>())
}

fn summary(outcome: &Outcome) -> String {
    let counts = |counts: &std::collections::BTreeMap<String, u64>| {
        counts.iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
    };
    let mut parts = vec![match outcome.created.is_empty() {
        true => "nothing new".to_owned(),
        false => format!("new: {}", counts(&outcome.created)),
    }];
    if !outcome.updated.is_empty() {
        parts.push(format!("changed: {}", counts(&outcome.updated)));
    }
    if !outcome.skipped.is_empty() {
        parts.push(format!("passed over: {}", outcome.skipped.len() as u64 + outcome.more_skipped));
    }
    let head = if outcome.dry_run { "This was a dry run and nothing is kept. It would be" } else { "Imported" };
    format!("{head}: {}.", parts.join("; "))
}

fn skipped(report: Report, outcome: &Outcome) -> Report {
    let named = outcome.skipped.iter().take(MOST_NAMED);
    let report = named.fold(report, |report, problem| {
        report.note(format!("Line {} is passed over: {}.", problem.line, printable(&problem.reason)))
    });
    let unnamed = outcome.skipped.len().saturating_sub(MOST_NAMED) as u64;
    match unnamed + outcome.more_skipped {
        0 => report,
        more if outcome.more_skipped == 0 => {
            report.note(format!("{more} more lines are passed over; `--json` lists them."))
        }
        more => report.note(format!("{more} more lines are passed over; `--json` lists {unnamed} of them.")),
    }
}

/// `scimd backup`.
#[derive(Debug, Args)]
pub struct Backup {
    /// Where to write the copy, which is the owner's alone
    file: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

impl Backup {
    /// Does what the command says.
    ///
    /// # Errors
    /// PostgreSQL; a file that is there or can't be written; those of the office.
    pub fn run(self, office: &Office) -> Result<Report> {
        let Backup { file, force } = self;
        let size = match office {
            Office::Here(desk) => {
                let bar = Bar::of_bytes();
                transfer::Backup {}.to_file(desk, &file, force, |progress: Progress| bar.set(progress))?
            }
            Office::There(server) => {
                let (mut kept, bar) = (Kept::new(&file, force)?, Bar::of_a_stream());
                server.receive(&transfer::Backup::ROUTE, &transfer::Backup {}, |piece| {
                    bar.advance(piece.len());
                    kept.write(&piece)
                })?;
                kept.keep()?
            }
        };
        Ok(Report::default().note(format!("The database is in {} ({size} bytes).", file.display())))
    }
}
