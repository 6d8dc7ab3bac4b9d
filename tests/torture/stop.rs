//! SIGTERM under load: every request that was taken is answered, and what was answered is kept.

use crate::kill::{conclude, crowd, load, look};
use crate::place::Place;
use crate::{Effort, Findings};

/// A server told to stop ends with 0. A request that it has taken gets its whole answer; one that comes later gets none,
/// and has changed nothing.
pub fn nobody_is_cut_off(effort: &Effort) -> Findings {
    let place = Place::sqlite();
    let mut findings = Findings::default();
    let mut crowd = crowd(&place, effort.seed);
    let rounds = effort.rounds(50, 3);
    for round in 0..rounds {
        let scimd = place.start();
        look(&mut crowd);
        let mut code = None;
        load(&mut crowd, 150, || code = scimd.terminate());
        if code != Some(0) {
            findings.wrong.push(format!("round {round}: scimd ended with {code:?} after SIGTERM"));
        }
    }
    let scimd = place.start();
    look(&mut crowd);
    findings.note("stops", rounds);
    let cut_off: u64 = crowd.iter().map(|worker| worker.doubts[0]).sum();
    if cut_off > 0 {
        findings.wrong.push(format!("{cut_off} changes were done, and their answers cut off"));
    }
    conclude(&place, crowd, &mut findings);
    scimd.terminate();
    findings
}
