"""Where glyphs come from."""
