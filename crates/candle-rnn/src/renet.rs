//! [`ReNet`]: recurrent layers over the rows and the columns of a picture.
//!
//! F. Visin et al. (2015), *ReNet: A recurrent neural network based alternative to convolutional networks*. A
//! layer of two directions goes along every row, another along every column of what the first has made:
//!
//! ```text
//! r_i1 … r_iw = rnn(x_i1 … x_iw)        for every row i
//! y_1j … y_hj = rnn′(r_1j … r_hj)       for every column j
//! ```
//!
//! So each place knows the whole picture, after two layers and however large it is; a convolution would need as
//! many layers as the picture has places along a side, divided by its own size.

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

use crate::{Cell, MatmulPrecision, Mode, Rnn, RnnConfig};

/// Two recurrent layers over a grid (see the [module](self)).
#[derive(Clone, Debug)]
pub struct ReNet {
    rows: Rnn,
    columns: Rnn,
}

impl ReNet {
    /// Reads or creates `rows.weight_ih_l0`, `rows.weight_ih_l0_reverse`, …, `columns.weight_ih_l0`, …: `input`
    /// features to `hidden` units in each direction.
    ///
    /// # Errors
    /// When a size is zero, or a weight is missing or has another shape.
    pub fn new(
        cell: Cell,
        input: usize,
        hidden: usize,
        matmul: MatmulPrecision,
        vb: VarBuilder,
    ) -> Result<Self> {
        let layer = |input, name| {
            let config = RnnConfig { bidirectional: true, matmul, ..RnnConfig::new(cell, input, hidden) };
            Rnn::new(&config, vb.pp(name))
        };
        let rows = layer(input, "rows")?;
        Ok(Self { columns: layer(rows.output_size(), "columns")?, rows })
    }

    /// Features of the output.
    pub fn output_size(&self) -> usize {
        self.columns.output_size()
    }

    /// `[batch, height, width, input]` to `[batch, height, width, output_size]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, xs: &Tensor, mode: &mut Mode) -> Result<Tensor> {
        let by_column = along(&self.rows, xs, mode)?.transpose(1, 2)?;
        along(&self.columns, &by_column, mode)?.transpose(1, 2)
    }
}

/// A layer along the third dimension of `[batch, lines, steps, input]`.
fn along(rnn: &Rnn, xs: &Tensor, mode: &mut Mode) -> Result<Tensor> {
    let (batch, lines, steps, input) = xs.dims4()?;
    let (ys, _) = rnn.forward(&xs.reshape((batch * lines, steps, input))?, None, None, mode)?;
    ys.reshape((batch, lines, steps, rnn.output_size()))
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::Parameters;

    fn renet() -> Result<(ReNet, Parameters)> {
        let parameters = Parameters::new(1, DType::F64, &Device::Cpu);
        let renet = ReNet::new(Cell::Gru, 2, 3, MatmulPrecision::Full, parameters.builder())?;
        Ok((renet, parameters))
    }

    #[test]
    fn every_place_knows_every_place() -> Result<()> {
        let (renet, _) = renet()?;
        let xs = candle_core::Var::rand(-1f64, 1., (2, 3, 4, 2), &Device::Cpu)?;
        for (i, j) in [(0, 0), (0, 3), (1, 2), (2, 1)] {
            let y = renet.forward(&xs, &mut Mode::Eval)?.get(0)?.get(i)?.get(j)?;
            let gradient = y.sqr()?.sum_all()?.backward()?.remove(&xs).expect("a gradient");
            let of_places = gradient.abs()?.sum(3)?.flatten(1, 2)?.to_vec2::<f64>()?;
            assert!(of_places[0].iter().all(|&size| size > 0.), "{i}, {j}: {of_places:?}");
            assert!(of_places[1].iter().all(|&size| size == 0.), "another picture: {of_places:?}");
        }
        Ok(())
    }

    #[test]
    fn rows_first_and_then_columns() -> Result<()> {
        let (renet, parameters) = renet()?;
        let xs = Tensor::rand(-1f64, 1., (1, 3, 4, 2), &Device::Cpu)?;
        let ys = renet.forward(&xs, &mut Mode::Eval)?;
        assert_eq!(ys.dims(), [1, 3, 4, renet.output_size()]);

        // The same by hand, line by line.
        let vb = parameters.builder();
        let layer = |input, name| {
            let config = RnnConfig { bidirectional: true, ..RnnConfig::new(Cell::Gru, input, 3) };
            Rnn::new(&config, vb.pp(name))
        };
        let (rows, columns) = (layer(2, "rows")?, layer(6, "columns")?);
        let line = |rnn: &Rnn, xs: &Tensor| {
            Ok::<_, candle_core::Error>(rnn.forward(&xs.contiguous()?, None, None, &mut Mode::Eval)?.0)
        };
        let by_row =
            (0..3).map(|row| line(&rows, &xs.narrow(1, row, 1)?.squeeze(1)?)).collect::<Result<Vec<_>>>()?;
        let by_row = Tensor::stack(&by_row, 1)?;
        for column in 0..4 {
            let expected = line(&columns, &by_row.narrow(2, column, 1)?.squeeze(2)?)?;
            let difference = (expected - ys.narrow(2, column, 1)?.squeeze(2)?)?.abs()?.max_all()?;
            assert!(difference.to_scalar::<f64>()? < 1e-12);
        }
        Ok(())
    }
}
