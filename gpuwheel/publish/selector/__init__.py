"""Which wheel fits a machine, and why not the others: for `gpuwheel which`, and for the page of an index."""
