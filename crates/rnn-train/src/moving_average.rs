//! A moving average of the weights, which is often better than the weights themselves: they jump about the
//! minimum, and their mean is nearer to it (Polyak and Juditsky 1992, *Acceleration of stochastic
//! approximation by averaging*). After update t
//!
//! ```text
//! w̄ ← w̄ + (1 − d) (w − w̄)        d = min(decay, (1 + t) / (10 + t))
//! ```
//!
//! so that the first steps, which are far from where the training goes, are soon forgotten. The means have the
//! type of the variables: in bf16 a step below a 256th of the mean is lost.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor, Var};

use crate::optimizer::rule::{Fused, Rule};

/// The average of some variables, on the way.
pub struct MovingAverage {
    decay: f64,
    means: Vec<(String, Var)>,
}

impl MovingAverage {
    /// Begins with the variables as they are.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn new(decay: f64, variables: &[(String, Var)]) -> Result<Self> {
        let copy = |(name, variable): &(String, Var)| {
            Ok((name.clone(), Var::from_tensor(&variable.as_tensor().copy()?)?))
        };
        Ok(Self { decay, means: variables.iter().map(copy).collect::<Result<_>>()? })
    }

    /// The means by name.
    pub fn tensors(&self) -> HashMap<String, Tensor> {
        self.means.iter().map(|(name, mean)| (name.clone(), mean.as_detached_tensor())).collect()
    }

    /// Goes on from the means of a checkpoint.
    ///
    /// # Errors
    /// When one is missing or has another shape.
    pub fn load(&self, saved: &HashMap<String, Tensor>) -> Result<()> {
        self.means.iter().try_for_each(|(name, mean)| {
            let saved = saved.get(name).with_context(|| format!("the average has no {name}"))?;
            mean.set(saved).with_context(|| format!("the average of {name}"))
        })
    }

    /// Takes in the variables after update number `step`, which are those of [`new`](Self::new) in the same
    /// order.
    ///
    /// # Errors
    /// When there are other variables, or one has another shape.
    pub fn update(&self, variables: &[(String, Var)], step: usize) -> Result<()> {
        let step = step as f64;
        let part = 1.0 - self.decay.min((1.0 + step) / (10.0 + step));
        // w̄ − part · (−w + w̄): a step down the gradient −w with a decay of 1.
        let rule = Rule::Sgd { decay: 1.0, momentum: 0.0, nesterov: false, rate: part };
        for (mean, variable) in self.pairs(variables)? {
            let weights = variable.as_tensor();
            match (mean.dtype(), mean.device()) {
                (DType::F32, Device::Cpu) => Fused::<f32>::run(rule, -1.0, mean, weights, &mut [])?,
                (DType::F64, Device::Cpu) => Fused::<f64>::run(rule, -1.0, mean, weights, &mut [])?,
                _ => mean.set(&rule.tensors(mean, weights.neg()?, &mut [])?)?,
            }
        }
        Ok(())
    }

    /// The variables become their means, and the means what the variables were: twice, and all is as before.
    ///
    /// # Errors
    /// When there are other variables, or one has another shape.
    pub fn exchange(&self, variables: &[(String, Var)]) -> Result<()> {
        for (mean, variable) in self.pairs(variables)? {
            let weights = variable.as_tensor().copy()?;
            variable.set(mean)?;
            mean.set(&weights)?;
        }
        Ok(())
    }

    /// Each mean with its variable.
    fn pairs<'a>(
        &'a self,
        variables: &'a [(String, Var)],
    ) -> Result<impl Iterator<Item = (&'a Var, &'a Var)>> {
        let like = |(mean, variable): (&(String, Var), &(String, Var))| {
            (&mean.0, mean.1.shape()) == (&variable.0, variable.1.shape())
        };
        let all_alike = self.means.iter().zip(variables).all(like);
        ensure!(all_alike && self.means.len() == variables.len(), "the average is of other variables");
        Ok(self.means.iter().zip(variables).map(|((_, mean), (_, variable))| (mean, variable)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(dtype: DType, values: &[f64]) -> Result<Vec<(String, Var)>> {
        let tensor = Tensor::new(values, &Device::Cpu)?.to_dtype(dtype)?;
        Ok(vec![("w".to_owned(), Var::from_tensor(&tensor)?)])
    }

    fn values(tensor: &Tensor) -> Result<Vec<f64>> {
        Ok(tensor.to_dtype(DType::F64)?.to_vec1()?)
    }

    #[test]
    fn the_average_follows_the_formula_in_every_type() -> Result<()> {
        for (dtype, bound) in [(DType::F64, 1e-12), (DType::F32, 1e-6), (DType::BF16, 0.05)] {
            let variables = variables(dtype, &[4.0, -2.0])?;
            let average = MovingAverage::new(0.5, &variables)?;
            let mut truth = [4.0, -2.0];
            for (step, next) in [[1.0, 0.5], [3.0, 0.25], [-1.0, 8.0]].into_iter().enumerate() {
                variables[0].1.set(&Tensor::new(&next, &Device::Cpu)?.to_dtype(dtype)?)?;
                let step = step + 1;
                average.update(&variables, step)?;
                let decay = (0.5f64).min((1.0 + step as f64) / (10.0 + step as f64));
                for (mean, w) in truth.iter_mut().zip(next) {
                    *mean = decay * *mean + (1.0 - decay) * w;
                }
                let ours = values(&average.tensors()["w"])?;
                assert!(ours.iter().zip(truth).all(|(a, b)| (a - b).abs() < bound), "{ours:?} {truth:?}");
            }
        }
        Ok(())
    }

    #[test]
    fn exchanged_twice_all_is_as_before() -> Result<()> {
        let variables = variables(DType::F32, &[1.0, 2.0])?;
        let average = MovingAverage::new(0.9, &variables)?;
        variables[0].1.set(&Tensor::new(&[0.1f32, 7.0], &Device::Cpu)?)?;
        average.exchange(&variables)?;
        assert_eq!(values(&variables[0].1)?, [1.0, 2.0]);
        average.exchange(&variables)?;
        assert_eq!(variables[0].1.to_vec1::<f32>()?, [0.1, 7.0]);
        assert_eq!(values(&average.tensors()["w"])?, [1.0, 2.0]);
        assert!(average.load(&HashMap::new()).unwrap_err().to_string().contains("no w"));
        for others in [vec![], self::variables(DType::F32, &[1.0])?] {
            assert!(average.update(&others, 1).is_err() && average.exchange(&others).is_err());
        }
        Ok(())
    }
}
