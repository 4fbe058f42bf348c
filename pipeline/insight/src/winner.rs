//! Finds the best of many runs, and compares its lead with the variation between seeds.

use schemars::JsonSchema;
use serde::Serialize;

use crate::comparison::Differing;
use identity::Cell;
use identity::verdict::Kind;

/// Runs that differ only in their seeds.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Group {
    /// The indices of these runs.
    pub places: Vec<usize>,
    /// The mean of their losses; `None` if one of the runs diverged, has a data fault or has no finite loss.
    pub loss: Option<f64>,
}

/// The loss by which runs are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The validation loss of the last checkpoint.
    Valid,
    /// The mean training loss of the last steps, if no run has a validation loss.
    Tail,
}

/// The best group.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Winner {
    /// The index of the best group.
    pub group: usize,
    /// The index of the second best group.
    pub next: Option<usize>,
    /// How much lower the loss of the best group is than that of the second best.
    pub margin: Option<f64>,
    /// The standard deviation of the loss over seeds, pooled over the groups that have several runs.
    pub spread: Option<f64>,
    pub by: Measure,
}

/// The verdict and the losses of one run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    pub verdict: Kind,
    pub valid: Option<f64>,
    pub tail: Option<f64>,
}

/// Whether a parameter is a seed.
pub fn is_seed(name: &str) -> bool {
    name == "seed" || name.ends_with(".seed")
}

/// Groups the runs by all differing parameters except seeds. Groups are in the order of their first runs.
pub fn groups(parameters: &[Differing], runs: usize) -> Vec<Group> {
    let point = |place: usize| -> Vec<&Option<Cell>> {
        parameters.iter().filter(|row| !is_seed(&row.name)).map(|row| &row.values[place]).collect()
    };
    let mut found: Vec<(Vec<&Option<Cell>>, Group)> = Vec::new();
    for place in 0..runs {
        let point = point(place);
        match found.iter_mut().find(|(known, _)| *known == point) {
            Some((_, group)) => group.places.push(place),
            None => found.push((point, Group { places: vec![place], loss: None })),
        }
    }
    found.into_iter().map(|(_, group)| group).collect()
}

/// The group with the lowest mean loss, among those in which no run diverged or has a data fault. Also sets the loss of
/// each group.
pub fn winner(groups: &mut [Group], runs: &[Scored]) -> Option<Winner> {
    let by = if runs.iter().any(|run| run.valid.is_some()) { Measure::Valid } else { Measure::Tail };
    let (mut squares, mut freedom) = (0.0, 0usize);
    for group in groups.iter_mut() {
        let out = |run: &Scored| matches!(run.verdict, Kind::Diverged | Kind::DataFault);
        let loss = |place: &usize| match (&runs[*place], by) {
            (run, _) if out(run) => None,
            (run, Measure::Valid) => run.valid,
            (run, Measure::Tail) => run.tail,
        };
        let losses: Option<Vec<f64>> = group.places.iter().map(loss).collect();
        let Some(losses) = losses.filter(|losses| losses.iter().all(|loss| loss.is_finite())) else { continue };
        let mean = losses.iter().sum::<f64>() / losses.len() as f64;
        group.loss = Some(mean);
        squares += losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>();
        freedom += losses.len() - 1;
    }
    let mut ranked: Vec<(f64, usize)> =
        groups.iter().enumerate().filter_map(|(at, group)| Some((group.loss?, at))).collect();
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (best, group) = *ranked.first()?;
    let next = ranked.get(1);
    Some(Winner {
        group,
        next: next.map(|(_, at)| *at),
        margin: next.map(|(loss, _)| loss - best),
        spread: (freedom > 0).then(|| (squares / freedom as f64).sqrt()),
        by,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rates: &[f64], seeds: &[i64]) -> Vec<Differing> {
        let row = |name: &str, values: Vec<Option<Cell>>| Differing { name: name.to_owned(), values, explains: None };
        vec![
            row("seed", seeds.iter().map(|seed| Some(Cell::Integer(*seed))).collect()),
            row("train.learning_rate", rates.iter().map(|rate| Some(Cell::Real(*rate))).collect()),
        ]
    }

    fn scored(verdict: Kind, valid: f64) -> Scored {
        Scored { verdict, valid: Some(valid), tail: Some(9.0) }
    }

    #[test]
    fn a_margin_is_given_with_the_spread_of_seeds() {
        let mut found = groups(&rows(&[0.1, 0.1, 1.0, 1.0], &[1, 2, 1, 2]), 4);
        assert_eq!(found.iter().map(|group| group.places.clone()).collect::<Vec<_>>(), [vec![0, 1], vec![2, 3]]);
        let runs = [5.0, 5.2, 4.0, 4.2].map(|loss| scored(Kind::Stable, loss));
        let best = winner(&mut found, &runs).unwrap();
        assert_eq!((best.group, best.next, best.by), (1, Some(0), Measure::Valid));
        assert!((best.margin.unwrap() - 1.0).abs() < 1e-12 && (best.spread.unwrap() - 0.02f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_run_that_diverged_or_has_a_data_fault_never_wins() {
        let mut found = groups(&rows(&[0.1, 1.0, 10.0], &[1, 1, 1]), 3);
        let runs = [scored(Kind::DataFault, 1.0), scored(Kind::Unstable, 5.0), scored(Kind::Diverged, 2.0)];
        let best = winner(&mut found, &runs).unwrap();
        assert_eq!((best.group, best.next, best.spread), (1, None, None));
        assert_eq!(winner(&mut found.clone()[..1], &runs), None);
        let untold = runs.map(|run| Scored { valid: None, ..run });
        assert_eq!(winner(&mut found, &untold).unwrap().by, Measure::Tail);
    }
}
