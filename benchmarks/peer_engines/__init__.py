"""One speech recognition engine a file: each loads the same weights and hears the same samples."""
