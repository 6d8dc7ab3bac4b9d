//! SIGTERM under load: every request that was taken is answered, and what was answered is kept.

use std::time::Instant;

use crate::cluster::Cluster;
use crate::kill::{conclude, crowd, load, look};
use crate::place::Place;
use crate::{Effort, Findings};

/// A server told to stop ends with 0. A request that was sent before gets its whole answer; one that comes later gets one
/// or none, and without an answer it has changed nothing.
pub fn nobody_is_cut_off(effort: &Effort) -> Findings {
    let mut findings = Findings::default();
    let cluster = Cluster::start();
    for place in [Place::sqlite(), Place::at(&cluster.url())] {
        stop_under_load(&place, effort, &mut findings);
    }
    findings
}

fn stop_under_load(place: &Place, effort: &Effort, findings: &mut Findings) {
    let mut crowd = crowd(place, effort.seed);
    let rounds = effort.rounds(50, 3);
    for round in 0..rounds {
        let scimd = place.start();
        look(&mut crowd);
        let (mut told_at, mut code) = (Instant::now(), None);
        load(&mut crowd, 150, || {
            told_at = Instant::now();
            code = scimd.terminate();
        });
        if code != Some(0) {
            findings.wrong.push(format!("round {round}: scimd ended with {code:?} after SIGTERM"));
        }
        let cut_off = crowd.iter_mut().flat_map(|worker| std::mem::take(&mut worker.unanswered));
        let cut_off = cut_off.filter(|asked_at| *asked_at < told_at).count();
        if cut_off > 0 {
            findings.wrong.push(format!("round {round}: {cut_off} requests were sent before SIGTERM and not answered"));
        }
    }
    let scimd = place.start();
    look(&mut crowd);
    findings.note("stops", rounds);
    let done: u64 = crowd.iter().map(|worker| worker.doubts[0]).sum();
    if done > 0 {
        findings.wrong.push(format!("{done} changes were done, and their answers cut off"));
    }
    conclude(place, crowd, rounds, findings);
    scimd.terminate();
}
