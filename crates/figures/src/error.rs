//! What can be wrong with a picture's data.

/// Why a picture cannot be drawn. Rows, columns and sentences are counted from 1.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A matrix has more or fewer rows than there are output tokens.
    #[error("the number of rows is {found}, that of output tokens {expected}; give one row per output token")]
    Rows {
        /// Rows of values.
        found: usize,
        /// Output tokens.
        expected: usize,
    },
    /// A row has more or fewer values than there are source tokens.
    #[error(
        "the number of values in row {row} is {found}, that of source tokens {expected}; give one value per source token"
    )]
    Columns {
        /// Which row.
        row: usize,
        /// Its values.
        found: usize,
        /// Source tokens.
        expected: usize,
    },
    /// A value is NaN or outside 0 to 1.
    #[error("the value in row {row}, column {column} is {value}; only numbers from 0 to 1 can be drawn")]
    Value {
        /// Which row.
        row: usize,
        /// Which column.
        column: usize,
        /// What stands there.
        value: f32,
    },
    /// A sentence of an alignment page has an attention that does not fit it.
    #[error("sentence {number}: {error}")]
    Sentence {
        /// Which sentence.
        number: usize,
        /// What is wrong with it.
        error: Box<Error>,
    },
    /// A text that was to become pixels is no SVG.
    #[error("cannot read the SVG: {0}")]
    Svg(String),
    /// A picture would have no pixel or too many, or the scale is not a number above 0.
    #[error(
        "{width} × {height} at scale {scale} makes no picture of 1 to 16384 pixels a side; change the scale"
    )]
    Size {
        /// Width of the SVG in its own units.
        width: f32,
        /// Height of the SVG in its own units.
        height: f32,
        /// Pixels per unit.
        scale: f32,
    },
    /// The pixels could not be written as PNG.
    #[error("cannot encode the PNG: {0}")]
    Encoding(String),
}
