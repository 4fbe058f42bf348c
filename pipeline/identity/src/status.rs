//! How runs and executions stand, and how a stage came by its result.

use crate::words::words;

words! {
    /// How a run or an execution stands.
    Status, "status":
    /// A process works on it, or did when it was killed.
    Running = "running",
    /// It was stopped before its end; the same command resumes it.
    Interrupted = "interrupted",
    /// Something went wrong that is worth a look.
    Failed = "failed",
    /// All of it is accepted.
    Finished = "finished",
}

impl Status {
    /// Whether it is over: an interrupted one can be resumed.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Failed | Self::Finished)
    }
}

words! {
    /// How a stage of a run came by its result.
    How, "way to a result":
    /// It was computed for this run.
    Executed = "executed",
    /// It was there.
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
        assert_eq!("done".parse::<Status>().unwrap_err().to_string(), "`done` is no status");
    }

    #[test]
    fn what_is_over_is_not_resumed() {
        let over: Vec<Status> = Status::ALL.iter().copied().filter(|status| status.is_over()).collect();
        assert_eq!(over, [Status::Failed, Status::Finished]);
    }
}
