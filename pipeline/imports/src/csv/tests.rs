//! Tables of text, as programs and people write them.

use super::*;
use crate::row::Collected;

fn collect(bytes: &[u8]) -> (Collected, Result<(), ReadError>) {
    let (mut names, mut sink, mut bytes) = (Names::default(), Collected::default(), bytes);
    let result = read(&mut bytes, &mut names, &mut sink);
    (sink, result)
}

fn whole(text: &str) -> Collected {
    let (sink, result) = collect(text.as_bytes());
    result.unwrap();
    sink
}

#[test]
fn lightning_leaves_cells_empty() {
    let sink = whole(
        "epoch,lr,step,train_loss_epoch,train_loss_step,val_loss\n0,,49,,7.5,\n0,0.001,49,,,\n0,,99,,nan,\n\
         0,,99,,,inf\n0,,99,7.25,,\n1,,149,,7.0,\n",
    );
    assert_eq!(
        sink.reports,
        [
            "2 s49 e0 train_loss_step'=7.5",
            "3 s49 e0 lr=0.001",
            "4 s99 e0 train_loss_step'=NaN",
            "5 s99 e0 val_loss=inf",
            "6 s99 e0 train_loss_epoch*=7.25",
            "7 s149 e1 train_loss_step'=7"
        ]
    );
    assert_eq!(sink.remarks, [] as [&str; 0]);
}

#[test]
fn keras_reports_means_over_epochs() {
    let sink = whole(
        "epoch,accuracy,learning_rate,loss,val_accuracy,val_loss\n0,0.5,0.1,2.5,NA,NA\n1,0.6,0.1,2.0,0.5,2.25\n\
         epoch,accuracy,learning_rate,loss,val_accuracy,val_loss\n1,0.7,0.1,1.5,0.5,2.125\n",
    );
    assert_eq!(
        sink.reports,
        [
            "2 e0 accuracy*=0.5 learning_rate=0.1 loss*=2.5",
            "3 e1 accuracy*=0.6 learning_rate=0.1 loss*=2 val_accuracy*=0.5 val_loss*=2.25",
            "5 e1 accuracy*=0.7 learning_rate=0.1 loss*=1.5 val_accuracy*=0.5 val_loss*=2.125"
        ]
    );
    assert_eq!(sink.remarks, [] as [&str; 0]);
    assert_eq!(whole("epoch,val_loss,loss,acc\n0,1,2,3\n").reports, ["2 e0 val_loss=1 loss=2 acc=3"]);
}

#[test]
fn a_column_names_the_split() {
    let sink = whole("step,split,loss,lr\n1,train,3,0.1\n1,val,3.5,\n2,train,2,0.1\n3,,1,\n");
    assert_eq!(
        sink.reports,
        ["2 s1 train:loss=3 train:lr=0.1", "3 s1 val:loss=3.5", "4 s2 train:loss=2 train:lr=0.1", "5 s3 loss=1"]
    );
    // Stages that are counted, and stages that are no splits.
    assert_eq!(whole("step,stage,loss\n1,2,3\n").reports, ["2 s1 stage=2 loss=3"]);
    assert_eq!(whole("step,stage,loss\n1,warmup,3\n").reports, ["2 s1 loss=3"]);
}

#[test]
fn a_column_names_the_series() {
    let sink = whole("tag,step,value\ntrain/loss,1,3\nlr,1,0.1\ntrain/loss,2,2\n,3,1\n");
    assert_eq!(sink.reports, ["2 s1 train/loss=3", "3 s1 lr=0.1", "4 s2 train/loss=2", "5 s3 value=1"]);
}

#[test]
fn exports() {
    let wandb = r#""Step","calm-lake-1 - train/loss","calm-lake-1 - train/loss__MIN","calm-lake-1 - train/loss__MAX"
"1","2.5","2.5","2.5"
"2","NaN","",""
"3","1.5","1","2""#;
    let sink = whole(wandb);
    assert_eq!(sink.reports, ["2 s1 train/loss=2.5", "3 s2 train/loss=NaN", "4 s3 train/loss=1.5"]);
    assert_eq!((sink.run_names, sink.remarks), (vec!["calm-lake-1".to_owned()], vec![]));
    let sink = whole(&wandb.replace("calm-lake-1 - train/loss__MAX", "wild-sea-2 - train/loss"));
    assert_eq!(sink.reports[0], "2 s1 calm-lake-1 - train/loss=2.5 wild-sea-2 - train/loss=2.5");
    assert_eq!((sink.run_names.len(), sink.remarks.len()), (0, 1));
    let tensorboard = "Wall time,Step,Value\r\n1700000000.5,10,2.5\r\n1700000001.5,20,2\r\n";
    assert_eq!(
        whole(tensorboard).reports,
        ["2 s10 Wall time=1700000000.5 Value=2.5", "3 s20 Wall time=1700000001.5 Value=2"]
    );
    assert_eq!(whole("loss - train,loss - dev\n1,2\n").reports, ["2 s1 loss - train=1 loss - dev=2"]);
}

#[test]
fn delimiters_and_headers_by_hand() {
    assert_eq!(whole("Iter\tLoss\n1\t2.5\n").reports, ["2 s1 Loss=2.5"]);
    assert_eq!(whole("Epoch;Loss;lr\n1;2,125;1e-3\n").reports, ["2 e1 Loss=2.125 lr=0.001"]);
    assert_eq!(whole("\u{feff}  epoch ,  train/loss\n 1 , 2.5 \n").reports, ["2 e1 train/loss=2.5"]);
    assert_eq!(whole("\u{feff}\"Step\",\"loss\"\n1,2.5\n").reports, ["2 s1 loss=2.5"]);
    assert_eq!(whole("# written by hand\n\nstep,loss\n1,2.5\n").reports, ["4 s1 loss=2.5"]);
    assert_eq!(whole("step,tokens,loss\n1,\"85,775\",2\n").reports, ["2 s1 tokens=85775 loss=2"]);
    assert_eq!(whole("step,loss,loss\n1,2,3\n").reports, ["2 s1 loss=2 loss (2)=3"]);
    assert_eq!(whole(",loss\n0,2\n1,1\n").reports, ["2 s0 loss=2", "3 s1 loss=1"]);
    assert_eq!(whole(",step,loss\n0,10,2\n").reports, ["2 s10 loss=2"]);
    assert_eq!(whole("step,_step,loss\n5,0,2\n").reports, ["2 s5 _step=0 loss=2"]);
}

#[test]
fn steps_within_epochs() {
    let sink = whole("epoch,batch,loss\n1,10,3\n1,20,2\n2,10,1\n");
    assert_eq!(sink.reports, ["2 e1 b10 loss=3", "3 e1 b20 loss=2", "4 e2 b10 loss=1"]);
    let sink = whole("epoch,iter,loss\n0,0,3\n0,1,2\n1,0,1\n1,1,0.5\n");
    assert_eq!(sink.reports, ["2 e0 b0 loss=3", "3 e0 b1 loss=2", "4 e1 b0 loss=1", "5 e1 b1 loss=0.5"]);
    assert_eq!(whole("epoch,global_step,loss\n0,9,3\n1,0,2\n").reports, ["2 s9 e0 loss=3", "3 s0 e1 loss=2"]);
}

#[test]
fn rows_are_counted_where_nothing_else_is() {
    let sink = whole("loss,accuracy\n3,0.1\n,\n2,0.2\n");
    assert_eq!(sink.reports, ["2 s1 loss=3 accuracy=0.1", "4 s2 loss=2 accuracy=0.2"]);
    assert_eq!(
        sink.remarks,
        ["1: no column counts steps or epochs: the rows themselves are counted", "3: no number is in this row"]
    );
}

#[test]
fn steps_that_are_none_and_rows_that_say_nothing() {
    let sink = whole("step,loss\n1.0,4\n1.5,3\n99999999999999999999,2\n-1,1\nNA,0.5\nbroken\nx,y,z\n2\n");
    assert_eq!(sink.reports, ["2 s1 loss=4", "3 loss=3", "4 loss=2", "5 s-1 loss=1", "6 loss=0.5"]);
    assert_eq!(
        sink.remarks,
        ["3: 1.5 is no step: such reports have none", "7: no number is in 2 rows, of which this is the first"]
    );
}

#[test]
fn another_header_tells_of_other_columns() {
    let sink = whole("step,loss\n1,4\nstep,lr,loss\n2,0.1,3\n");
    assert_eq!(sink.reports, ["2 s1 loss=4", "4 s2 lr=0.1 loss=3"]);
    assert_eq!(sink.remarks, [] as [&str; 0]);
}

#[test]
fn cut_anywhere_no_number_is_wrong() {
    let text = "step,lr,loss\n1,0.001,2.125\n2,0.001,nan\n10,0.001,2.5e-3\n";
    let all = whole(text).reports;
    for length in 0..text.len() {
        let (sink, result) = collect(&text.as_bytes()[..length]);
        assert_eq!(result.is_err(), length < 5, "{length}");
        for (cut, whole) in sink.reports.iter().zip(&all) {
            assert!(whole.starts_with(cut.as_str()), "{length}: {cut}, not {whole}");
        }
        let in_row = length > 13 && !text[..length].ends_with('\n');
        assert_eq!(sink.remarks.len(), usize::from(in_row), "{length}: {:?}", sink.remarks);
    }
}

#[test]
fn other_files_are_refused() {
    for other in ["", "\n", "1,2\n3,4\n", "just words\nand more\n", "a,b\nc,d\n", "loss\n"] {
        assert!(matches!(collect(other.as_bytes()).1, Err(ReadError::Format(_))), "{other}");
    }
    // A run that was stopped before its first report.
    assert_eq!(whole("epoch,loss\n"), Collected::default());
}

#[test]
fn noise_never_panics() {
    let text = "step,split,tag,value\n1,\"train\",loss,2.5\n2,val,loss,nan\n\"3\",train,\"a\"\"b\",1\n";
    let mut random: u64 = 3;
    for _ in 0..5000 {
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..4 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (random >> 33) as usize % bytes.len();
            bytes[at] = (random >> 20) as u8;
        }
        let _ = collect(&bytes);
    }
}
