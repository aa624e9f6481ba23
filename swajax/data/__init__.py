"""Tables, benchmark functions, splits and scaling: data as NumPy arrays."""
