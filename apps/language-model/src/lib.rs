//! Train, evaluate and sample recurrent language models.
