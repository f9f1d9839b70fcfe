//! [`Gradients`]: what the backward pass hands to the update, the trainer's one seam between them.

use candle_core::{Result, Tensor, Var, bail};

/// One gradient (or none) for each variable of a sorted `(name, variable)` list, in that order.
///
/// A common factor is kept beside the tensors: [`scale`](Self::scale), and with it gradient
/// clipping by norm, costs nothing, and the factor is multiplied in when the optimiser reads the
/// gradient. The tensors handed out by [`get`](Self::get) and [`iter`](Self::iter) have it in them.
#[derive(Clone, Debug)]
pub struct Gradients {
    tensors: Vec<Option<Tensor>>,
    factor: f64,
}

impl From<Vec<Option<Tensor>>> for Gradients {
    fn from(tensors: Vec<Option<Tensor>>) -> Self {
        Self { tensors, factor: 1.0 }
    }
}

impl Gradients {
    /// Runs the backward pass from `loss` (a scalar) and takes the gradient of each variable,
    /// `None` where the loss does not depend on it.
    ///
    /// # Errors
    /// Those of [`Tensor::backward`].
    pub fn of(loss: &Tensor, variables: &[(String, Var)]) -> Result<Self> {
        let mut store = loss.backward()?;
        // Detached, or the gradient would keep the whole graph of the step alive.
        let gradient = |(_, variable): &(String, Var)| store.remove(variable).map(|g| g.detach());
        Ok(variables.iter().map(gradient).collect::<Vec<_>>().into())
    }

    /// Adds `other` to these gradients, variable by variable; calls in the same order give the
    /// same bits. Where only one side has a gradient, the sum is that one.
    ///
    /// # Errors
    /// When the two belong to different lists of variables (number or shapes differ).
    pub fn add(&mut self, other: &Self) -> Result<()> {
        if self.len() != other.len() {
            let (ours, theirs) = (self.len(), other.len());
            bail!("gradients of {theirs} variables cannot be added to gradients of {ours}");
        }
        let sums = self.iter().zip(other.iter()).map(|(ours, theirs)| match (ours?, theirs?) {
            (Some(a), Some(b)) => Ok(Some((a + b)?)),
            (a, b) => Ok(a.or(b)),
        });
        *self = sums.collect::<Result<Vec<_>>>()?.into();
        Ok(())
    }

    /// Multiplies every gradient by `factor` (no pass over the data: see the type).
    pub fn scale(&mut self, factor: f64) {
        self.factor *= factor;
    }

    /// Replaces every gradient by what `change` makes of it (the factor is already in it).
    ///
    /// # Errors
    /// The first error of `change`.
    pub fn map(&mut self, mut change: impl FnMut(Tensor) -> Result<Tensor>) -> Result<()> {
        let changed = self.iter().map(|g| g?.map(&mut change).transpose());
        *self = changed.collect::<Result<Vec<_>>>()?.into();
        Ok(())
    }

    /// The gradient of the variable at `index` of the list; `None` if it has none.
    ///
    /// # Errors
    /// When the factor cannot be multiplied in (the device is out of memory).
    pub fn get(&self, index: usize) -> Result<Option<Tensor>> {
        match self.tensors.get(index).and_then(Option::as_ref) {
            Some(tensor) if self.factor != 1.0 => Ok(Some(tensor.affine(self.factor, 0.0)?)),
            tensor => Ok(tensor.cloned()),
        }
    }

    /// The gradients in the order of the variables, as [`get`](Self::get) gives them.
    pub fn iter(&self) -> impl Iterator<Item = Result<Option<Tensor>>> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Number of variables, with or without a gradient.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether the list of variables is empty.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// The tensors without the factor, and the factor.
    pub(crate) fn unscaled(&self) -> (&[Option<Tensor>], f64) {
        (&self.tensors, self.factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn variables() -> Result<Vec<(String, Var)>> {
        let variable =
            |(name, value): (&str, f64)| Ok((name.to_string(), Var::new(&[value, -value], &Device::Cpu)?));
        let values = [("a", 1.0), ("b", 2.0), ("c", 3.0)];
        values.into_iter().map(variable).collect()
    }

    #[test]
    fn gradients_stand_in_the_order_of_the_variables_and_an_unused_one_has_none() -> Result<()> {
        let variables = variables()?;
        let loss = (variables[0].1.sqr()?.sum_all()? + variables[2].1.sum_all()?)?;
        let gradients = Gradients::of(&loss, &variables)?;
        let values: Vec<_> = gradients.iter().collect::<Result<_>>()?;
        assert_eq!(values[0].as_ref().unwrap().to_vec1::<f64>()?, [2.0, -2.0]);
        assert!(values[1].is_none());
        assert_eq!(values[2].as_ref().unwrap().to_vec1::<f64>()?, [1.0, 1.0]);
        Ok(())
    }

    #[test]
    fn accumulating_two_batches_gives_the_gradient_of_the_sum_of_their_losses() -> Result<()> {
        let variables = variables()?;
        let first = variables[0].1.sqr()?.sum_all()?;
        let second = (&*variables[0].1 * &*variables[1].1)?.sum_all()?;
        let mut sum = Gradients::of(&first, &variables)?;
        sum.add(&Gradients::of(&second, &variables)?)?;
        sum.scale(0.5);
        let whole = Gradients::of(&((first + second)? * 0.5)?, &variables)?;
        for (index, (name, _)) in variables.iter().enumerate() {
            let values = |g: &Gradients| g.get(index)?.map(|t| t.to_vec1::<f64>()).transpose();
            assert_eq!(values(&sum)?, values(&whole)?, "{name}");
        }
        Ok(())
    }

    #[test]
    fn gradients_of_another_list_of_variables_are_not_added() {
        let mut three = Gradients::from(vec![None, None, None]);
        assert!(three.add(&Gradients::from(vec![None])).is_err());
    }
}
