//! The flags that say how recordings are found.

use anyhow::Result;
use clap::Args;

use crate::corpus::{self, Layout, NamePattern, Part, Selection, Source, Utterance};

/// How recordings are found, for every command that reads many.
#[derive(Args, Clone, Debug, Default)]
pub struct LayoutArgs {
    /// What the names of the files in a folder say, such as {label}_{speaker}_{index}
    #[arg(long, value_name = "PATTERN", help_heading = "Recordings")]
    pub names: Option<NamePattern>,
    /// Column or key of the paths in a manifest [default: path]
    #[arg(long, value_name = "NAME", help_heading = "Recordings")]
    pub path_column: Option<String>,
    /// Column or key of the texts in a manifest [default: text]
    #[arg(long, value_name = "NAME", help_heading = "Recordings")]
    pub text_column: Option<String>,
    /// Use only the recordings with FIELD=VALUES, such as speaker=ann,bob or index=0-4 or list=FILE
    #[arg(long = "where", value_name = "SELECTION", help_heading = "Recordings")]
    pub only: Option<Selection>,
}

impl LayoutArgs {
    /// `layout` and `only` with every flag that was given put over them.
    pub fn apply(&self, layout: &mut Layout, only: &mut Option<Selection>) {
        layout.names = self.names.clone().or(layout.names.take());
        layout.columns.path = self.path_column.clone().or(layout.columns.path.take());
        layout.columns.text = self.text_column.clone().or(layout.columns.text.take());
        *only = self.only.clone().or(only.take());
    }

    /// The recordings that `name` means.
    ///
    /// # Errors
    /// Those of [`corpus::read_selected`].
    pub fn read(&self, name: &str, part: Part) -> Result<Vec<Utterance>> {
        let (mut layout, mut only) = (Layout::default(), None);
        self.apply(&mut layout, &mut only);
        corpus::read_selected(&Source::named(name, part)?, &layout, only.as_ref())
    }
}
