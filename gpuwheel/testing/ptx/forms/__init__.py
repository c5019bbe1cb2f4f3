"""The table of meanings: each form of a PTX instruction, in C, with its section of the manual."""
