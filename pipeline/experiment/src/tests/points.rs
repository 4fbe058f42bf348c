//! The points that result from a study and the command line.

use std::sync::Arc;

use serde_json::Value;

use super::fixture::{BARE, SMALL, complaint, load, swept};
use crate::Point;

#[test]
fn every_combination_is_a_point_and_each_value_is_canonical() {
    let experiment = load(SMALL, &[]).unwrap();
    assert_eq!(experiment.points.len(), 4);
    let point = &experiment.points[1];
    assert_eq!(point.stages["train"]["learning_rate"], Value::from(1.0));
    assert_eq!(point.stages["train"]["seed"], Value::from(2));
    let swept: Vec<String> = point.swept.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(swept, ["train.learning_rate=1.0", "seed=2"]);
    assert!(point.stages.evaluate.is_none());
    assert!(point.flat().contains(&("train.schedule.kind".to_owned(), Value::from("constant"))));
}

#[test]
fn overrides_replace_axes_and_lists_sweep() {
    let points = |overrides: &[&str]| load(SMALL, overrides).unwrap().points;
    assert_eq!(points(&["train.learning_rate=0.3"]).len(), 2);
    assert_eq!(points(&["train.learning_rate=[3,2,1]", "seed=1"]).len(), 3);
    let decode = points(&["sample.decode=[\"greedy\"]", "seed=1"]);
    assert_eq!((decode.len(), decode[0].stages["sample"]["decode"].to_string()), (2, "[\"greedy\"]".to_owned()));
    assert_eq!(points(&["train.optimizer=sgd"])[0].stages["train"]["optimizer"], "sgd");
    assert_eq!(points(&["train.epochs=2"])[0].stages["train"].get("steps"), None);
    assert_eq!(points(&["train.init={normal=0.02}"])[0].stages["train"]["init"]["normal"], 0.02);
    assert_eq!(points(&["train.schedule={kind=\"cosine\"}"])[0].stages["train"]["schedule"]["floor"], 0.0);
    assert_eq!(points(&["train.checkpoints.every=[5,10]", "seed=1"]).len(), 4);
}

#[test]
fn points_share_what_is_equal_however_far_apart_they_are() {
    let points = load(SMALL, &[]).unwrap().points;
    let rate = |point: &Point| point.stages.train.read.learning_rate;
    // The seed, which `sample` reads too, is the inner axis.
    let [a, b, c, d] = &points[..] else { panic!("{} points", points.len()) };
    assert_eq!((rate(a), rate(c), a.seed, c.seed), (1.0, 0.1, 1, 1));
    let shared = |one: &Point, other: &Point| {
        let sample = |point: &Point| point.stages.sample.clone().unwrap();
        (
            Arc::ptr_eq(&one.corpus, &other.corpus),
            Arc::ptr_eq(&one.stages.vocab, &other.stages.vocab),
            Arc::ptr_eq(&sample(one), &sample(other)),
            Arc::ptr_eq(&one.stages.train, &other.stages.train),
        )
    };
    assert_eq!(
        [shared(a, b), shared(a, c), shared(b, d)],
        [(true, true, false, false), (true, true, true, false), (true, true, true, false)]
    );
}

#[test]
fn listed_points() {
    let text = "name='p'\n[corpus]\ntext='corpus.txt'\n[[study.points]]\ntrain.learning_rate=1.0\ntrain.seed=3\n[[study.points]]\n'train.learning_rate'=0.5\n";
    let points = load(text, &[]).unwrap().points;
    assert_eq!(points.len(), 2);
    assert_eq!(points[0].stages["train"]["seed"], 3);
    assert_eq!(points[1].stages["train"]["seed"], 1);
}

#[test]
fn quotes_around_a_swept_key_are_optional() {
    for (quoted, bare) in [
        ("'train.checkpoints.every'=[50,100]", "train.checkpoints.every=[50,100]"),
        ("'train.schedule.rate'=[0.5,0.9]", "train.schedule.rate=[0.5,0.9]"),
        ("'train.init.uniform'=[0.1,0.2]", "train.init.uniform=[0.1,0.2]"),
        ("'corpus.split.valid'=[0.1,0.2]", "corpus.split.valid=[0.1,0.2]"),
    ] {
        let with =
            |study: &str| swept(&format!("{BARE}[train]\nschedule={{kind='exponential'}}\n[study]\n{study}\n"), &[]);
        assert_eq!(with(quoted), with(bare));
        assert_eq!(with(bare).len(), 2, "{bare}");
    }
    // The value is a number, not a string: SQL compares it.
    let text = format!("{BARE}[study]\ncorpus.split.valid=[0.1,0.2]\n");
    assert_eq!(swept(&text, &[]), ["corpus.split.valid=0.1", "corpus.split.valid=0.2"]);
}

#[test]
fn a_listed_point_sets_its_keys_and_keeps_the_others_of_the_table() {
    let text = format!(
        "{BARE}[train]\ncheckpoints={{every=10,keep={{last=2}}}}\n[[study.points]]\ntrain.checkpoints.every=5\n[[study.points]]\n"
    );
    let points = load(&text, &[]).unwrap().points;
    assert_eq!(points[0].stages["train"]["checkpoints"].to_string(), "{\"every\":5,\"keep\":{\"last\":2}}");
    assert_eq!(points[1].stages["train"]["checkpoints"]["every"], 10, "an empty point is the experiment unchanged");
}

#[test]
fn overrides_and_listed_points() {
    let listed = |points: &[&str]| {
        format!("{BARE}{}", points.iter().map(|point| format!("[[study.points]]\n{point}\n")).collect::<String>())
    };
    let text = listed(&["train.optimizer='sgd'\ntrain.learning_rate=3", "train.learning_rate=0.003"]);
    assert_eq!(swept(&text, &["train.learning_rate=0.3"]), ["train.optimizer=\"sgd\"", ""]);
    // Two points that differ only in the overridden key become one.
    let text =
        listed(&["train.optimizer='sgd'\ntrain.learning_rate=3", "train.optimizer='sgd'\ntrain.learning_rate=1"]);
    assert_eq!(swept(&text, &["train.learning_rate=0.3"]), ["train.optimizer=\"sgd\""]);
    let text = listed(&["train.steps=3", "train.steps=4"]);
    assert_eq!(load(&text, &["train.epochs=2"]).unwrap().points.len(), 1);
}

#[test]
fn a_key_gets_its_value_from_one_place() {
    let text =
        format!("{BARE}[study]\nseed=[1,2]\n'train.learning_rate'=[1,0.1]\n[[study.points]]\ntrain.learning_rate=3\n");
    assert!(
        complaint(&text, &[])
            .starts_with("x.toml:6: train.learning_rate is swept in [study] and also set in [[study.points]]")
    );
    let text = format!(
        "{BARE}[study]\n'train.schedule'=[{{kind='cosine'}},{{kind='constant'}}]\n'train.schedule.floor'=[0.1]\n"
    );
    assert!(
        complaint(&text, &[]).contains("train.schedule.floor and train.schedule are both swept; allowed: one of them")
    );
    let text = format!("{BARE}[study]\n'train.schedule'=[{{kind='cosine'}},{{kind='constant'}}]\n");
    assert_eq!(
        complaint(&text, &["train.schedule.floor=0.1"]),
        "--set 'train.schedule.floor=0.1': train.schedule.floor is part of train.schedule, which the study sweeps | \
         to set the whole table: --set 'train.schedule=…'"
    );
    let text = format!("{BARE}[study]\n'train.checkpoints.every'=[5,10]\n");
    assert_eq!(swept(&text, &["train.checkpoints={every=50}"]), [""]);
}

#[test]
fn alternative_tables_replace_one_another() {
    let text = format!("{BARE}[train]\nschedule={{kind='exponential',rate=0.5}}\ninit={{uniform=0.05}}\n");
    let train = |set: &str| load(&text, &[set]).unwrap().points[0].stages["train"].clone();
    assert_eq!(train("train.schedule.kind=cosine")["schedule"].to_string(), "{\"floor\":0.0,\"kind\":\"cosine\"}");
    assert_eq!(train("train.schedule.kind=exponential")["schedule"]["rate"], 0.5);
    assert_eq!(train("train.init.normal=0.02")["init"].to_string(), "{\"normal\":0.02}");
    assert_eq!(
        complaint(&format!("{BARE}[train]\nschedule={{kind='constant',rate=0.5}}\n"), &[]),
        "x.toml:5: train.schedule.rate does not apply to kind = \"constant\"; allowed: kind | "
    );
    assert_eq!(
        complaint(&text, &["train={steps=100}"]),
        "--set 'train={steps=100}': train is a table; set its keys one by one | --set train.KEY=VALUE"
    );
}

#[test]
fn a_study_of_10_000_points_is_expanded_quickly_and_a_larger_one_is_refused() {
    let seeds: Vec<String> = (0..5000).map(|seed| seed.to_string()).collect();
    let text = format!("{BARE}[study]\nseed=[{}]\n'train.learning_rate'=[1,2]\n", seeds.join(","));
    let begun = std::time::Instant::now();
    assert_eq!(load(&text, &[]).unwrap().points.len(), 10_000);
    assert!(begun.elapsed().as_secs() < 60, "took {:?}: each point is compared with all before it", begun.elapsed());
    assert!(
        complaint(&text, &["train.hidden=[8,16]"]).contains("the study has 20000 points; at most 10000 are allowed")
    );
}
