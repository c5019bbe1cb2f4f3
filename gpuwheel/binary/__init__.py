"""Binary formats, a bounded reader for each: ELF, fatbins, cubins, mangled names; and a writer of stub libraries."""
