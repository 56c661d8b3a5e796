//! One key: an integer, or nothing.

use porcupine_rs::Model;

use super::{Operation, Outcome};

/// What was asked, and the answer where there is one.
#[derive(Debug, Clone)]
pub struct Step {
    pub operation: Operation,
    pub outcome: Outcome,
}

#[derive(Debug, Clone)]
pub struct Key;

impl Model for Key {
    type State = Option<i64>;
    type Op = Step;
    type Metadata = ();

    fn init() -> Self::State {
        None
    }

    fn step(state: &Self::State, step: &Self::Op) -> (bool, Self::State) {
        let known = match step.outcome {
            Outcome::Done(answer) => Some(answer),
            Outcome::Refused | Outcome::Unknown => None,
        };
        match step.operation {
            Operation::Set(value) => (true, Some(value)),
            Operation::Get => (known.is_none_or(|seen| seen == *state), *state),
            Operation::Incr => {
                let sum = Some(state.unwrap_or(0) + 1);
                (known.is_none_or(|told| told == sum), sum)
            }
        }
    }
}
