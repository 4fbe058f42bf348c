//! Which of several runs came out best.

use crate::record::verdicts::Kind;

/// A run as a candidate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    pub run: i64,
    pub verdict: Kind,
    /// Its last loss on valid.
    pub loss: Option<f64>,
}

/// The run that leads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leading {
    pub run: i64,
    pub loss: f64,
    /// The run behind it, and by how much.
    pub next: Option<(i64, f64)>,
    /// A run with a lower loss that reads faulty data, and so is no candidate.
    pub barred: Option<i64>,
}

/// The run with the lowest loss on valid, among those whose data are sound and that did not diverge.
pub fn leading(candidates: &[Candidate]) -> Option<Leading> {
    let mut finite: Vec<(&Candidate, f64)> = candidates.iter().filter_map(|it| Some((it, it.loss?))).collect();
    // Stable: of equals, the one that was named first.
    finite.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut sound = finite.iter().filter(|(it, _)| !matches!(it.verdict, Kind::DataFault | Kind::Diverged));
    let (first, loss) = sound.next()?;
    let faulty = finite.iter().find(|(it, other)| it.verdict == Kind::DataFault && other < loss);
    Some(Leading {
        run: first.run,
        loss: *loss,
        next: sound.next().map(|(it, other)| (it.run, other - loss)),
        barred: faulty.map(|(it, _)| it.run),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_loss_leads_unless_its_data_are_at_fault() {
        let run = |run: i64, verdict: Kind, loss: Option<f64>| Candidate { run, verdict, loss };
        let all = [
            run(1, Kind::TooLow, Some(6.0)),
            run(2, Kind::Stable, Some(4.5)),
            run(3, Kind::DataFault, Some(3.0)),
            run(4, Kind::Diverged, None),
            run(5, Kind::Unstable, Some(4.75)),
        ];
        assert_eq!(leading(&all), Some(Leading { run: 2, loss: 4.5, next: Some((5, 0.25)), barred: Some(3) }));
        assert_eq!(leading(&all[2..4]), None);
        assert_eq!(leading(&all[..1]).unwrap().next, None);
    }
}
