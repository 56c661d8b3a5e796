//! How far the setup has come: a bar on a terminal, the steps alone elsewhere.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};
use topology::SlotSet;

pub(super) struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
}

impl Progress {
    /// Quiet: steps are told otherwise.
    pub fn new(quiet: bool) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(SlotSet::all().len() as u64);
            if let Ok(style) =
                ProgressStyle::with_template("{spinner} [{bar:30}] {pos}/{len} slots served  {wide_msg}")
            {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, quiet }
    }

    pub fn show(&self, served: usize, waiting_for: &str) {
        if let Some(bar) = &self.bar {
            bar.set_position(served as u64);
            bar.set_message(waiting_for.to_owned());
            bar.tick();
        }
    }

    pub fn step(&self, text: &str) {
        match (&self.bar, self.quiet) {
            (_, true) => {}
            (Some(bar), false) => bar.println(text),
            (None, false) => eprintln!("{text}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
