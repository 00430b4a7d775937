"""From recipe and glyphs to samples."""
