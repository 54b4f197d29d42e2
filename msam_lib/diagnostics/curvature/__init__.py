"""Second derivatives of the loss by block: products, traces, spectra, norms."""
