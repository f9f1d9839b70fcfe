//! `--device`, `--threads` and `--seed`, and what they mean.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use anyhow::{Context, bail};
use candle_core::Device;
use candle_core::utils::{cuda_is_available, metal_is_available};

/// Flags that say where and how a program computes; `#[command(flatten)]` them.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DeviceArgs {
    /// Where to compute: auto, cpu, cuda, cuda:N or metal
    #[arg(long, value_name = "DEVICE", default_value_t = DeviceChoice::Auto, help_heading = "Computing")]
    pub device: DeviceChoice,

    /// CPU threads to use [default: one per core]
    #[arg(long, value_name = "N", help_heading = "Computing")]
    pub threads: Option<NonZeroUsize>,

    /// Seed of every random number: the same seed gives the same result [default: 42]
    #[arg(long, value_name = "SEED", help_heading = "Computing")]
    pub seed: Option<u64>,
}

impl DeviceArgs {
    /// The seed that was given, else 42. A training needs to know whether one was: without, that of
    /// its settings holds.
    pub fn seed(&self) -> u64 {
        self.seed.unwrap_or(42)
    }

    /// Sizes the thread pool as `--threads` asks and opens the device.
    ///
    /// Call it once, before the first tensor: the pool is fixed at its first
    /// use. A later call with the same flags is harmless.
    ///
    /// # Errors
    /// The device is not there, the program was built without its feature, or
    /// the thread pool already runs with another number of threads.
    pub fn device(&self) -> anyhow::Result<Device> {
        if let Some(threads) = self.threads {
            set_threads(threads)?;
        }
        self.device.open()
    }
}

fn set_threads(threads: NonZeroUsize) -> anyhow::Result<()> {
    let built = rayon::ThreadPoolBuilder::new().num_threads(threads.get()).build_global();
    match built {
        Ok(()) => Ok(()),
        // Building twice is an error even if nothing would change.
        Err(_) if rayon::current_num_threads() == threads.get() => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot use {threads} threads")),
    }
}

/// The value of `--device`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// A GPU if the program was built for one and it is there, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The NVIDIA GPU of this number, counted from 0.
    Cuda(usize),
    /// Apple's GPU.
    Metal,
}

impl DeviceChoice {
    /// Opens the device.
    ///
    /// # Errors
    /// The program was built without the device's feature, or the device does
    /// not answer. [`DeviceChoice::Auto`] falls back to the CPU instead.
    pub fn open(self) -> anyhow::Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(index) => {
                if !cuda_is_available() {
                    bail!(
                        "this program was built without CUDA; \
                         build it with `--features cuda` or choose `--device cpu`"
                    );
                }
                Device::new_cuda(index).with_context(|| {
                    format!(
                        "cannot open CUDA device {index}: is there a GPU, and its driver? \
                         `--device cpu` computes without"
                    )
                })
            }
            Self::Metal => {
                if !metal_is_available() {
                    bail!(
                        "this program was built without Metal; \
                         build it with `--features metal` or choose `--device cpu`"
                    );
                }
                Device::new_metal(0).context("cannot open the Metal device")
            }
            Self::Auto => {
                let gpu = if cuda_is_available() {
                    Self::Cuda(0)
                } else if metal_is_available() {
                    Self::Metal
                } else {
                    return Ok(Device::Cpu);
                };
                Ok(gpu.open().unwrap_or_else(|error| {
                    tracing::warn!("{error:#}; computing on the CPU");
                    Device::Cpu
                }))
            }
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(0) => f.write_str("cuda"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Metal => f.write_str("metal"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            "metal" => Ok(Self::Metal),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| "expected auto, cpu, cuda, cuda:N or metal".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_name_reads_back_as_it_is_written() {
        for text in ["auto", "cpu", "cuda", "cuda:3", "metal"] {
            let choice: DeviceChoice = text.parse().unwrap();
            assert_eq!(choice.to_string(), text);
        }
    }

    #[test]
    fn an_unknown_device_names_the_known_ones() {
        for text in ["gpu", "cuda:", "cuda:x", ""] {
            let error = text.parse::<DeviceChoice>().unwrap_err();
            assert!(error.contains("cuda:N"), "{error}");
        }
    }

    #[test]
    fn a_device_the_program_was_not_built_for_says_how_to_build_it() {
        for (available, choice, feature) in [
            (cuda_is_available(), DeviceChoice::Cuda(0), "cuda"),
            (metal_is_available(), DeviceChoice::Metal, "metal"),
        ] {
            if !available {
                let error = choice.open().unwrap_err().to_string();
                assert!(error.contains(&format!("--features {feature}")), "{error}");
            }
        }
    }

    #[test]
    fn auto_always_opens_something() {
        DeviceChoice::Auto.open().unwrap();
    }
}
