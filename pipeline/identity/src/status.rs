//! The status of runs and executions, and how a stage got its result.

use crate::words::words;

words! {
    /// The status of a run or an execution.
    Status, "status":
    /// A process is working on it, or was when it was killed.
    Running = "running",
    /// It was stopped before the end; the same command resumes it.
    Interrupted = "interrupted",
    /// Something went wrong that needs attention.
    Failed = "failed",
    /// All of its results are accepted.
    Finished = "finished",
}

impl Status {
    /// Whether it has ended for good; an interrupted one can be resumed.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Failed | Self::Finished)
    }
}

words! {
    /// How a stage of a run got its result.
    How, "result source":
    /// It was computed for this run.
    Executed = "executed",
    /// It was already in the record.
    Cached = "cached",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_record() {
        let words: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
        assert_eq!(words, ["running", "interrupted", "failed", "finished"]);
        assert!(Status::ALL.iter().all(|status| status.as_str().parse() == Ok(*status)));
        assert_eq!(serde_json::to_string(&How::ALL).unwrap(), r#"["executed","cached"]"#);
        assert_eq!(serde_json::from_str::<Status>("\"finished\"").unwrap(), Status::Finished);
        assert_eq!("done".parse::<Status>().unwrap_err().to_string(), "`done` is not a status");
    }

    #[test]
    fn failed_and_finished_are_over() {
        let over: Vec<Status> = Status::ALL.iter().copied().filter(|status| status.is_over()).collect();
        assert_eq!(over, [Status::Failed, Status::Finished]);
    }
}
