//! What every binary shares: device flags, logging, exit codes, model folders.
