//! The training loop: optimisers, schedules, checkpoints, run folders, progress.
