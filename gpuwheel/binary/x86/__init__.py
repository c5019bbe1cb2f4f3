"""Machine code of x86-64, taken apart as far as it takes to know where each instruction ends and which comes next."""
