//! Matrices of numbers from 0 to 1.

use crate::Error;

/// How far beyond 0 or 1 rounding may carry a probability.
const ROUNDING: f32 = 1e-3;

/// Checks that `values` is `[rows, columns]` and that all of it lies between 0 and 1.
pub(crate) fn check(values: &[Vec<f32>], rows: usize, columns: usize) -> Result<(), Error> {
    if values.len() != rows {
        return Err(Error::Rows { found: values.len(), expected: rows });
    }
    for (row, numbers) in (1..).zip(values) {
        if numbers.len() != columns {
            return Err(Error::Columns { row, found: numbers.len(), expected: columns });
        }
        for (column, &value) in (1..).zip(numbers) {
            // written so that NaN fails
            if !(-ROUNDING..=1.0 + ROUNDING).contains(&value) {
                return Err(Error::Value { row, column, value });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_named_by_its_place() {
        assert_eq!(check(&[], 1, 1), Err(Error::Rows { found: 0, expected: 1 }));
        let ragged = [vec![0.5, 0.5], vec![1.0]];
        let error = check(&ragged, 2, 2).unwrap_err();
        assert_eq!(error, Error::Columns { row: 2, found: 1, expected: 2 });
        assert_eq!(
            error.to_string(),
            "the number of values in row 2 is 1, that of source tokens 2; give one value per source token"
        );
    }

    #[test]
    fn only_numbers_from_0_to_1_pass_but_for_what_rounding_does() {
        assert_eq!(check(&[vec![0.0, 1.0, 1.000_001, -1e-7]], 1, 4), Ok(()));
        for value in [f32::NAN, f32::INFINITY, -0.5, 1.5] {
            let error = check(&[vec![0.5, value]], 1, 2).unwrap_err();
            assert!(matches!(error, Error::Value { row: 1, column: 2, .. }), "{value}: {error}");
        }
    }
}
